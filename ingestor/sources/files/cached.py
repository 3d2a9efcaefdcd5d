"""Normalisation with small caches, because most names of a large file occur once."""

import functools

from ingestor.sources import normalize

__all__ = ["name_key", "normalize_name", "normalize_ticker"]

_CACHED = 2_048
"""Enough for the coins of a file with histories.

The caches of `ingestor.sources.normalize` would grow to 35 MB with a large file.
"""

normalize_ticker = functools.lru_cache(maxsize=_CACHED)(normalize.normalize_ticker.__wrapped__)
normalize_name = functools.lru_cache(maxsize=_CACHED)(normalize.normalize_name.__wrapped__)
name_key = functools.lru_cache(maxsize=_CACHED)(normalize.name_key.__wrapped__)
