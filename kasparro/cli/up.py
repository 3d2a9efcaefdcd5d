"""`kasparro up`: everything, until Ctrl-C."""

import asyncio
import logging

import click

from common.settings import Settings, load_settings
from kasparro.cli.common.sources import check_source_settings
from kasparro.demo.plan import demo_plan, new_market
from kasparro.demo.state import demo_settings
from kasparro.supervise.console import open_console
from kasparro.supervise.ports import check_port, service_url
from kasparro.supervise.process_lock import lock_home
from kasparro.supervise.supervisor import ProcessPlan, supervise

log = logging.getLogger(__name__)


@click.command("up")
@click.option(
    "--demo",
    is_flag=True,
    help="Use a made-up market, without network, in a state folder of its own.",
)
def command(*, demo: bool) -> None:
    """Start everything: database, ingestor and server.

    PostgreSQL is the embedded one unless DATABASE_URL is set. Ctrl-C or SIGTERM stops everything.
    """
    start(demo=demo)


def start(*, demo: bool) -> None:
    """Run everything until a signal.

    Raises SettingsError, CommandRefusedError and errors of the database.
    """
    settings = load_settings()
    if demo:
        settings = demo_settings(settings)
    check_source_settings(settings)
    market = new_market() if demo else None
    with lock_home(settings.home, service_url(settings), market):
        check_port(settings.host, settings.port)
        console = open_console(settings)
        plan = _plan(settings, market)
        asyncio.run(supervise(plan, console))


def _plan(settings: Settings, market: str | None) -> ProcessPlan:
    if market is None:
        return ProcessPlan(settings=settings, commands=(("ingestor",), ("server",)))
    log.info("demo: prices are made up and stay in %s; no provider is called", settings.home)
    return demo_plan(settings, market)
