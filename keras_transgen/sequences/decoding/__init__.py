"""Loops that generate a sequence token by token, the same for every model that does."""
