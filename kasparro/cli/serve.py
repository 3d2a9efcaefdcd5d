"""`kasparro serve`: the server without an ingestor."""

import click

from common.settings import load_settings
from kasparro.supervise.ports import check_port
from kasparro.supervise.single import run_alone


@click.command("serve")
def command() -> None:
    """Start the server alone.

    It works on DATABASE_URL, or beside a `kasparro up` on that one's database (with another PORT),
    or else on an embedded database that it starts for its time.
    """
    settings = load_settings()
    check_port(settings.host, settings.port)
    run_alone(settings, ["server"])
