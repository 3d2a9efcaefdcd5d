"""`kasparro serve`: the server without an ingestor."""

import click

from common.settings import load_settings
from kasparro.supervise.ports import check_port
from kasparro.supervise.single import run_single


@click.command("serve")
def command() -> None:
    """Start the server alone.

    It uses DATABASE_URL, or the database of a running `kasparro up` (with another PORT), or else
    starts an embedded database.
    """
    settings = load_settings()
    check_port(settings.host, settings.port)
    run_single(settings, ["server"])
