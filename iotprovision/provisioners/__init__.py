"""One module a cloud and method: the list of its steps."""
