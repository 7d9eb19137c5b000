"""What tests share: simulated kits, runs of the tool, and what the vendor's firmware really answered."""
