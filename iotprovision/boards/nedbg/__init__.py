"""The board, reached through its on-board debugger."""
