"""What a run is asked to do: one module an action."""
