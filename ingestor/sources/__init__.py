"""The available sources: entry points of the group `kasparro.sources`.

An entry point names a SourceSpec, or a function `create(settings, *, name) -> Source`.
`ingestor.sources.api` has all that a source needs.
"""

import importlib.metadata
from collections.abc import Collection, Iterator

from common.display import sanitize
from common.settings import Settings, SettingsError
from ingestor.sources.records import Source
from ingestor.sources.spec import SourceSpec

GROUP = "kasparro.sources"

_BUILT_IN = {
    "coinpaprika": "ingestor.sources.built_in:COINPAPRIKA",
    "coingecko": "ingestor.sources.built_in:COINGECKO",
    "csv": "ingestor.sources.built_in:CSV",
    **{
        name: f"ingestor.streams.settings:{name.upper()}"
        for name in ("binance", "coinbase", "kraken", "okx", "bybit", "bitstamp")
    },
}
"""Kasparro's own entry points, also for a checkout that is not installed."""

_METHODS = ("pages", "to_listing", "close")


def known_sources() -> dict[str, importlib.metadata.EntryPoint]:
    """Return the entry point of every source by name."""
    built_in = (
        importlib.metadata.EntryPoint(name, value, GROUP) for name, value in _BUILT_IN.items()
    )
    installed = (
        entry
        for entry in importlib.metadata.entry_points(group=GROUP)
        if entry.dist is None or entry.dist.name != "kasparro"  # which may be an older install
    )
    return {entry.name: entry for entry in (*built_in, *installed)}


def source_specs(names: Collection[str]) -> list[SourceSpec]:
    """Load the specs of the sources that SOURCES names, in its order.

    Raises SettingsError for an unknown source and for one that is wrong.
    """
    known = known_sources()
    return [_load(known, name) for name in names]


def check_settings(settings: Settings) -> None:
    """Raise SettingsError if SOURCES has an unknown or wrong source, or one's setting is unusable.

    It makes no source, so it does not import the code of those that come with Kasparro.
    """
    for spec in source_specs(settings.sources):
        spec.settings.load(settings)


def all_specs() -> Iterator[SourceSpec]:
    """Yield the specs of all sources that load."""
    known = known_sources()
    for name in known:
        try:
            yield _load(known, name)
        except SettingsError:
            continue  # it fails where SOURCES names it


def create_sources(settings: Settings) -> list[Source]:
    """Make the sources that SOURCES names and that are polled, in its order.

    Raises SettingsError for an unknown source, for a wrong one and for a wrong setting of one.
    """
    return [
        _create(settings, spec) for spec in source_specs(settings.sources) if spec.kind != "stream"
    ]


def polled(names: Collection[str]) -> list[str]:
    """Return the names of those that are polled. Raises SettingsError as `source_specs` does."""
    return [spec.name for spec in source_specs(names) if spec.kind != "stream"]


def streamed(names: Collection[str]) -> list[SourceSpec]:
    """Return the specs of those that are streams. Raises SettingsError as `source_specs` does."""
    return [spec for spec in source_specs(names) if spec.kind == "stream"]


def refuse_streams(names: Collection[str], command: str) -> None:
    """Raise SettingsError for a stream among the sources that a command names."""
    for spec in streamed(names):
        raise SettingsError(
            f"{spec.name} is a stream, which {command} does not read: `kasparro up` follows it"
        )


def _load(known: dict[str, importlib.metadata.EntryPoint], name: str) -> SourceSpec:
    if name not in known:
        raise SettingsError(
            f"SOURCES must be some of {', '.join(sorted(known))}; {name!r} is none of them"
        )
    try:
        loaded = known[name].load()
        if not isinstance(loaded, SourceSpec):
            if not callable(loaded):
                raise TypeError("its entry point names neither a SourceSpec nor a function")  # noqa: TRY301 - it joins the other errors
            loaded = SourceSpec(name=name, kind=None, create=loaded)
        if loaded.name != name:
            raise TypeError(f"its spec has the name {loaded.name!r}")  # noqa: TRY301 - as above
        loaded.check()
    except Exception as error:
        raise _settings_error(name, error) from error
    return loaded


def _create(settings: Settings, spec: SourceSpec) -> Source:
    try:
        source: Source = spec.creator()(settings, name=spec.name)
        _check(source, spec)
    except SettingsError:
        raise
    except Exception as error:
        raise _settings_error(spec.name, error) from error
    return source


def _check(source: Source, spec: SourceSpec) -> None:
    """Raise TypeError for an object that does not meet the Source protocol."""
    for method in _METHODS:
        if not callable(getattr(source, method, None)):
            raise TypeError(f"{type(source).__name__} has no method {method}")
    if source.name != spec.name:
        raise TypeError(
            f"{type(source).__name__}.name must be {spec.name!r}; it is {source.name!r}"
        )
    if source.kind not in ("api", "file") or spec.kind not in (None, source.kind):
        raise TypeError(
            f"{type(source).__name__}.kind must be {spec.kind or 'api or file'}; "
            f"it is {source.kind!r}"
        )
    if source.missed_sweeps not in (1, 2):
        raise TypeError(
            f"{type(source).__name__}.missed_sweeps must be 1 or 2; it is {source.missed_sweeps!r}"
        )
    for number in ("priority", "poll_seconds"):
        if type(getattr(source, number)) is not int:
            raise TypeError(f"{type(source).__name__}.{number} must be a whole number")


def _settings_error(name: str, error: Exception) -> SettingsError:
    text = " ".join(sanitize(str(error)).split()) or type(error).__name__
    return SettingsError(f"SOURCES names {name!r}, which cannot be loaded: {text}")
