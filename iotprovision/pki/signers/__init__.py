"""Where the keys of authorities lie."""
