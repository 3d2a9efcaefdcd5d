"""How many rows a page has."""

DEFAULT_ROWS = 50
"""Where a client does not say."""

MAX_ROWS = 250

DEFAULT_CANDLES = 100
"""Where a client does not say from when on."""
