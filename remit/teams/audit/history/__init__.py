"""What is seen in what git remembers."""
