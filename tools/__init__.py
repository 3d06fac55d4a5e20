"""Gateways: the only door from a role to the world."""
