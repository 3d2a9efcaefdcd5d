"""What the demo runs: a made-up market, and beside it an ingestor and a server that know no other."""

import os
from urllib.parse import urlsplit

import dotenv

from common.settings import UNSET, Settings
from kasparro.demo.state import instead_of_providers
from kasparro.supervise.ports import free_port
from kasparro.supervise.supervisor import ProcessPlan

POLL_SECONDS = 10
COINS = 2000
TICK_SECONDS = 5
MOVING = 0.1
"""Of all listings at each tick; the sixty best-known coins, which one sees first, always move."""


def new_market() -> str:
    """Return a free address for a demo's market."""
    return f"http://127.0.0.1:{free_port()}"


def simulator_command(market: str, coins: int, moving: float = MOVING) -> tuple[str, ...]:
    """Return the module, and its arguments, that is the market at an address with so many coins on each list.

    `moving` is the share of them that moves at each tick.
    """
    return (
        "kasparro.simulator",
        "--port",
        str(urlsplit(market).port),
        "--coins",
        str(coins),
        "--tick-seconds",
        str(TICK_SECONDS),
        "--moving",
        str(moving),
    )


def demo_plan(settings: Settings, market: str) -> ProcessPlan:
    """Return the plan of a demo with its market at an address; `settings` are those of `demo_settings`."""
    environment = {
        **instead_of_providers(market),
        "KASPARRO_HOME": str(settings.home),
        "POLL_SECONDS": str(_poll_seconds(settings)),
        "CSV_PATH": str(settings.csv_path),
        "RAW_RETENTION_HOURS": str(settings.raw_retention_hours),
        "HISTORY_RETENTION_DAYS": str(settings.history_retention_days),
    }
    return ProcessPlan(
        settings=settings,
        commands=(simulator_command(market, COINS), ("ingestor", "--demo"), ("server",)),
        environment=environment,
        greeting="Kasparro answers with made-up prices (demo)",
    )


def _poll_seconds(settings: Settings) -> int:
    """Return what the environment or `.env` wishes, else the demo's own pace."""
    given = os.environ.get("POLL_SECONDS", dotenv.dotenv_values(".env").get("POLL_SECONDS")) or ""
    return POLL_SECONDS if given.strip() in UNSET else settings.poll_seconds
