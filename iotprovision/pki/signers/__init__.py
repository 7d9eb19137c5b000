"""Where the keys of authorities lie: one module a place."""
