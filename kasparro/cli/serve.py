"""`kasparro serve`: the server without an ingestor."""

import click

from db.settings import load_settings
from kasparro.alone import run_alone
from kasparro.ports import check_port


@click.command("serve")
def command() -> None:
    """Start the server alone.

    It works on DATABASE_URL, or beside a `kasparro up` on that one's database (with another PORT), or else on an
    embedded database that it starts for its time.
    """
    settings = load_settings()
    check_port(settings.host, settings.port)
    run_alone(settings, ["server"])
