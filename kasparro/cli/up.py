"""`kasparro up`: everything, until Ctrl-C."""

import asyncio
import logging

import click

from db.settings import Settings, load_settings
from kasparro.console import open_console
from kasparro.demo import demo_settings
from kasparro.demo_plan import demo_plan, new_market
from kasparro.occupancy import occupy
from kasparro.ports import check_port, service_url
from kasparro.sources import check_source_settings
from kasparro.supervisor import Plan, supervise

log = logging.getLogger(__name__)


@click.command("up")
@click.option(
    "--demo", is_flag=True, help="Use a made-up market: needs no network, and keeps a state folder of its own."
)
def command(*, demo: bool) -> None:
    """Start everything: database, ingestor and server.

    PostgreSQL is the embedded one unless DATABASE_URL names another. Ends, and ends everything, on Ctrl-C or SIGTERM.
    """
    start(demo=demo)


def start(*, demo: bool) -> None:
    """Run everything until a signal. Raises SettingsError, RefusedError and what a database raises."""
    settings = load_settings()
    if demo:
        settings = demo_settings(settings)
    check_source_settings(settings)
    market = new_market() if demo else None
    with occupy(settings.home, service_url(settings), market):
        check_port(settings.host, settings.port)
        console = open_console(settings)
        plan = _plan(settings, market)
        asyncio.run(supervise(plan, console))


def _plan(settings: Settings, market: str | None) -> Plan:
    if market is None:
        return Plan(settings=settings, commands=(("ingestor",), ("server",)))
    log.info("demo: prices are made up and kept apart in %s; no provider is asked", settings.home)
    return demo_plan(settings, market)
