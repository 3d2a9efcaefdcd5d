"""Measurements of what Kasparro promises: `python -m bench` runs them and prints one table."""
