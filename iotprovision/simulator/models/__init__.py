"""Microcontrollers that do in Python what the vendor's images do."""
