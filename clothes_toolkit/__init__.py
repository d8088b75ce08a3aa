"""Look after a sketch-photo dataset: validate it, split it, release it, measure it."""

__version__ = "0.1.0"
