"""Normalisation with small caches: a large file has many names, most of them only once."""

import functools

from ingestor.sources import normalize

__all__ = ["name_key", "normalize_name", "normalize_ticker"]

_CACHED = 2_048
"""Enough for the coins of a file of histories.

The caches of `ingestor.sources.normalize` would take 35 MB for a large file.
"""

normalize_ticker = functools.lru_cache(maxsize=_CACHED)(normalize.normalize_ticker.__wrapped__)
normalize_name = functools.lru_cache(maxsize=_CACHED)(normalize.normalize_name.__wrapped__)
name_key = functools.lru_cache(maxsize=_CACHED)(normalize.name_key.__wrapped__)
