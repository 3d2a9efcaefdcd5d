"""Which sources there are: entry points of the group `kasparro.sources`, each `create(settings, *, name) -> Source`."""

import importlib.metadata
from collections.abc import Callable

from common.settings import Settings, SettingsError
from ingestor.sources.records import Source

GROUP = "kasparro.sources"

_BUILT_IN = {
    "coinpaprika": "ingestor.sources.coinpaprika:create",
    "coingecko": "ingestor.sources.coingecko.source:create",
    "csv": "ingestor.sources.files.source:create",
}
"""Ours, for a checkout that was never installed and so has no entry points."""


def known_sources() -> dict[str, importlib.metadata.EntryPoint]:
    """Return every source that there is by name."""
    built_in = (
        importlib.metadata.EntryPoint(name, value, GROUP) for name, value in _BUILT_IN.items()
    )
    installed = importlib.metadata.entry_points(group=GROUP)
    return {entry.name: entry for entry in (*built_in, *installed)}


def create_sources(settings: Settings) -> list[Source]:
    """Make the sources that SOURCES names, in its order.

    Raises SettingsError for one that there is not.
    """
    known = known_sources()
    return [_creator(known, name)(settings, name=name) for name in settings.sources]


def _creator(known: dict[str, importlib.metadata.EntryPoint], name: str) -> Callable[..., Source]:
    if name not in known:
        raise SettingsError(
            f"SOURCES must be some of {', '.join(sorted(known))}; {name!r} is none of them"
        )
    try:
        creator: Callable[..., Source] = known[name].load()
    except (ImportError, AttributeError) as error:
        raise SettingsError(f"SOURCES names {name!r}, which cannot be loaded: {error}") from error
    return creator
