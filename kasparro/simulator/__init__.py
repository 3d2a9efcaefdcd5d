"""A simulated market with both providers' APIs: `python -m kasparro.simulator`."""
