"""Azure: a device enrolled with the user's own credentials, through the REST interfaces of its services."""
