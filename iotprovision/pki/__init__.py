"""Keys, certificate authorities and certificates."""
