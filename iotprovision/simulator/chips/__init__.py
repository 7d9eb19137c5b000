"""The chips of a simulated board, each with what is on its bus."""
