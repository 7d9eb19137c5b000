"""Clouds on this machine that simulated boards and this program connect to."""
