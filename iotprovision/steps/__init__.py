"""What a run can be asked to do: one module an action, with the steps of that action."""
