"""The firmware of the Wi-Fi module: Wi-Fi, sockets and TLS, as far as a driver notices."""
