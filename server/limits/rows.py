"""How many rows a page, or a message of a subscription, has."""

DEFAULT_ROWS = 50
"""Where a client does not say."""

MAX_ROWS = 250

DEFAULT_CANDLES = 100
"""Where a client does not say from when on."""

MAX_LIST_ITEMS = 1_000
"""In a list that a client sends."""

COINS_PER_MESSAGE = 1_000
"""A commit that changed more coins comes in several messages, so that none of them blocks the others for long."""
