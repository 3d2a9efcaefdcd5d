"""Measurements of Kasparro's performance: `python -m bench` runs them and prints one table."""
