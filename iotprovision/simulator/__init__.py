"""A kit and a cloud with no hardware and no account."""
