"""What is on a simulated board, whatever simulates its parts: memories, faults, costs, and what its radio reaches."""
