"""The types of live markets: markets, consensus prices, and the state of streams."""
