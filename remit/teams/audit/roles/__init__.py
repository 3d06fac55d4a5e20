"""The roles of the audit: each thinks about one thing, and asks tools and other roles for the rest."""
