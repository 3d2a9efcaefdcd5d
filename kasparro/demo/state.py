"""The demo: a made-up market in place of the providers, in a state folder and a database of its own."""

import os
from pathlib import Path

import msgspec

from common.settings import SAMPLE, Settings, load_settings
from kasparro.cli.common.errors import CommandRefusedError
from kasparro.supervise.process_lock import find_occupant

RAW_RETENTION_HOURS = 2
HISTORY_RETENTION_DAYS = 3
"""A demo polls thirty times as often as real providers are polled: it keeps what it reads for a shorter time."""

# What must not reach the simulator, or would let made-up prices reach real data.
_LEFT_OUT = ("API_SOURCE_KEY", "COINGECKO_API_KEY", "READ_DATABASE_URL")


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
    """Return the settings of the demo that runs, with its market in place of the providers.

    The market lives and dies with the demo: nothing else can tell its past. Raises RefusedError
    where none runs.
    """
    occupant = find_occupant(demo_settings(load_settings()).home)
    if occupant is None or occupant.market is None:
        raise CommandRefusedError(
            "no demo runs, and its made-up market only answers meanwhile: start `kasparro up --demo`"
        )
    environ = {**os.environ, **instead_of_providers(occupant.market)}
    return demo_settings(load_settings(environ, dotenv_path=Path(".env")))


def instead_of_providers(market: str) -> dict[str, str]:
    """Return the environment of whoever is to ask a demo's market in place of the providers."""
    return {
        **dict.fromkeys(_LEFT_OUT, ""),
        "COINPAPRIKA_URL": f"{market}/coinpaprika/v1",
        "COINGECKO_URL": f"{market}/coingecko/api/v3",
        "COINGECKO_MONTHLY_CALLS": "1000000000",
    }
