"""Makes a Microchip IoT kit a trusted device of a cloud account, and proves it."""

__version__ = "0.1.0"
