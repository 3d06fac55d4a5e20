"""Agent hosts: roles run here, think, and ask."""
