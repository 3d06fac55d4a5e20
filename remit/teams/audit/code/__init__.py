"""What is seen in code: one file at a time, and all files together."""
