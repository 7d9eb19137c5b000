"""What a simulated kit is subject to: faults that strike it, and meters of what its use costs."""
