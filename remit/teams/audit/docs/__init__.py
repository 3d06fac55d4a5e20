"""What is seen in what is written about the code."""
