"""The demo: a made-up market in place of the providers, in a state folder and a database of its own."""

import os

import dotenv
import msgspec

from db.settings import UNSET, Settings
from kasparro.ports import free_port
from kasparro.supervisor import Plan

POLL_SECONDS = 10
COINS = 2000
TICK_SECONDS = 5
# What must not reach the simulator, or would let made-up prices reach real data.
_LEFT_OUT = ("API_SOURCE_KEY", "COINGECKO_API_KEY", "READ_DATABASE_URL")


def demo_settings(settings: Settings) -> Settings:
    """Return `settings` with the demo's own folder and embedded database."""
    return msgspec.structs.replace(settings, home=settings.home / "demo", database_url=None, read_database_url=None)


def demo_plan(settings: Settings) -> Plan:
    """Return the plan of a demo; `settings` are those of `demo_settings`."""
    port = free_port()
    market = f"http://127.0.0.1:{port}"
    environment = {
        **dict.fromkeys(_LEFT_OUT, ""),
        "KASPARRO_HOME": str(settings.home),
        "COINPAPRIKA_URL": f"{market}/coinpaprika/v1",
        "COINGECKO_URL": f"{market}/coingecko/api/v3",
        "COINGECKO_MONTHLY_CALLS": "1000000000",
        "POLL_SECONDS": str(_poll_seconds(settings)),
    }
    simulator = (
        "simulator",
        "--port",
        str(port),
        "--coins",
        str(COINS),
        "--tick-seconds",
        str(TICK_SECONDS),
        "--moving",
        "0.7",
    )
    return Plan(
        settings=settings,
        commands=(simulator, ("ingestor",), ("server",)),
        environment=environment,
        greeting="Kasparro answers with made-up prices (demo)",
    )


def _poll_seconds(settings: Settings) -> int:
    """Return what the environment or `.env` wishes, else the demo's own pace."""
    given = os.environ.get("POLL_SECONDS", dotenv.dotenv_values(".env").get("POLL_SECONDS")) or ""
    return POLL_SECONDS if given.strip() in UNSET else settings.poll_seconds
