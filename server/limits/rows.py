"""The number of rows of a page, and of a message of a subscription."""

DEFAULT_ROWS = 50
"""Without `first` and `last`."""

MAX_ROWS = 250

DEFAULT_CANDLES = 100
"""Without `from`."""

MAX_LIST_ITEMS = 1_000
"""In one list of arguments or variables."""

COINS_PER_MESSAGE = 1_000
"""A commit of more coins becomes several messages, so that none of them takes long to write."""
