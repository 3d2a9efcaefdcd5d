"""The processes of the demo: a simulated market, with an ingestor and a server that use only it."""

import os
from urllib.parse import urlsplit

import dotenv

from common.settings import UNSET, Settings
from kasparro.demo.state import market_environment
from kasparro.supervise.ports import free_port
from kasparro.supervise.supervisor import ProcessPlan

POLL_SECONDS = 10
COINS = 2000
TICK_SECONDS = 5
MOVING = 0.1
"""The share of listings that change at each tick; the sixty best-known coins always do."""


def new_market() -> str:
    """Return a free address for the simulated market."""
    return f"http://127.0.0.1:{free_port()}"


def simulator_command(market: str, coins: int, moving: float = MOVING) -> tuple[str, ...]:
    """Return the module and arguments that run a market at an address, with `coins` on each list.

    `moving` is the share of coins that change at each tick.
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
        "--venues",
    )


def demo_plan(settings: Settings, market: str) -> ProcessPlan:
    """Return the plan of a demo; `settings` are those of `demo_settings`."""
    environment = {
        **market_environment(market, settings.sources),
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
    """Return the POLL_SECONDS of the environment or `.env`, or else the demo's own."""
    text = os.environ.get("POLL_SECONDS", dotenv.dotenv_values(".env").get("POLL_SECONDS")) or ""
    return POLL_SECONDS if text.strip() in UNSET else settings.poll_seconds
