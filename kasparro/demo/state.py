"""The settings of the demo: a simulated market, and a state folder and database of its own."""

import os
from pathlib import Path

import msgspec

from common.settings import SAMPLE, Settings, load_settings
from kasparro.cli.common.errors import CommandRefusedError
from kasparro.supervise.process_lock import find_lock_holder

RAW_RETENTION_HOURS = 2
HISTORY_RETENTION_DAYS = 3
"""A demo polls thirty times as often as a real service, so it keeps its payloads for less time."""

# Secrets that the simulator must not receive, and a database that must not get simulated prices.
_UNSET_VARIABLES = ("API_SOURCE_KEY", "COINGECKO_API_KEY", "READ_DATABASE_URL")


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

    Only the running market can serve the demo's past. Raises CommandRefusedError if no demo runs.
    """
    holder = find_lock_holder(demo_settings(load_settings()).home)
    if holder is None or holder.market is None:
        raise CommandRefusedError(
            "no demo runs, and only a running demo has a market: start `kasparro up --demo`"
        )
    environ = {**os.environ, **market_environment(holder.market)}
    return demo_settings(load_settings(environ, dotenv_path=Path(".env")))


def market_environment(market: str) -> dict[str, str]:
    """Return the environment of a process that uses a demo's market in place of the providers."""
    return {
        **dict.fromkeys(_UNSET_VARIABLES, ""),
        "COINPAPRIKA_URL": f"{market}/coinpaprika/v1",
        "COINGECKO_URL": f"{market}/coingecko/api/v3",
        "COINGECKO_MONTHLY_CALLS": "1000000000",
    }
