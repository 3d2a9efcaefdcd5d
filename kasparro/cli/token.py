"""`kasparro token`: the secret behind X-Scheduler-Token."""

import click

from db.token import load_or_create_token
from kasparro.which import demo_option, settings_for


@click.command("token")
@demo_option
def command(*, demo: bool | None) -> None:
    """Print the token that triggering a run needs.

    It is SCHEDULER_TOKEN, or else one that is made once and kept in the state folder.
    """
    settings = settings_for(demo)
    click.echo(settings.scheduler_token or load_or_create_token(settings.home))
