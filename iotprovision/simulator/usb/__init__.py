"""The bus that simulated kits are on, and the processes on both of its sides."""
