"""Boards by family. Nothing above this room asks which family a board is of."""
