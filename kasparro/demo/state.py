"""The settings of the demo: a simulated market, and a state folder and database of its own."""

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from common.settings import SAMPLE, Settings, SettingsError, load_settings
from ingestor.sources import all_specs, source_specs
from kasparro.cli.common.errors import CommandRefusedError
from kasparro.supervise.process_lock import find_lock_holder

RAW_RETENTION_HOURS = 2
HISTORY_RETENTION_DAYS = 3
"""A demo polls thirty times as often as a real service, so it keeps its bodies for less time."""


def demo_settings(settings: Settings) -> Settings:
    """Return `settings` with the demo's own folder, embedded database, sample and retention."""
    return msgspec.structs.replace(
        settings,
        home=settings.home / "demo",
        demo=True,
        database_url=None,
        read_database_url=None,
        csv_path=settings.csv_path or str(SAMPLE),
        raw_retention_hours=min(
            settings.raw_retention_hours or RAW_RETENTION_HOURS, RAW_RETENTION_HOURS
        ),
        history_retention_days=min(settings.history_retention_days, HISTORY_RETENTION_DAYS),
    )


def running_demo_settings() -> Settings:
    """Return the settings of the running demo, with its market in place of the providers.

    Only the running market can serve the demo's past. Raises CommandRefusedError if no demo runs,
    and SettingsError.
    """
    settings = load_settings()
    holder = find_lock_holder(demo_settings(settings).home)
    if holder is None or holder.market is None:
        raise CommandRefusedError(
            "no demo runs, and only a running demo has a market: start `kasparro up --demo`"
        )
    environ = {**os.environ, **market_environment(holder.market, settings.sources)}
    return demo_settings(load_settings(environ, dotenv_path=Path(".env")))


def market_environment(market: str, sources: Sequence[str]) -> dict[str, str]:
    """Return the environment of a process that uses a demo's market in place of the providers.

    It unsets the keys of all providers, and the replica, which must not get simulated prices.
    Raises SettingsError for one of `sources` that the market cannot serve.
    """
    for spec in source_specs(sources):
        if spec.kind in ("api", "stream") and spec.demo_path is None:
            raise SettingsError(
                f"SOURCES names {spec.name!r}, which the demo cannot simulate: leave it out"
            )
    environment = {"READ_DATABASE_URL": ""}
    for spec in all_specs():
        environment |= spec.demo_variables(market)
    return environment
