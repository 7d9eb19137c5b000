"""What the chips of a kit hold, as bytes."""
