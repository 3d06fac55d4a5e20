"""What becomes of a sighting: its rule, its severity, and what the critic thinks of it."""
