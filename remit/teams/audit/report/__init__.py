"""What is written in the end, and what is said about it."""
