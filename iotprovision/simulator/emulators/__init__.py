"""Microcontrollers that execute what is in their flash."""
