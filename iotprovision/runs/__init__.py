"""A run and what surrounds it."""
