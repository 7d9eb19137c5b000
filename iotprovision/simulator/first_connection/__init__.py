"""A simulated board connects to its cloud with what its chips hold."""
