"""What is seen in what a repository declares, imports, locks and licenses."""
