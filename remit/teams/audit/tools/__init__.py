"""What the roles may ask for: every tool of the charter, and the program that reads code for them."""
