"""A whole simulated kit: which there are, what the factory puts on them, and the state they keep."""
