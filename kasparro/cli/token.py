"""`kasparro token`: the secret behind X-Scheduler-Token."""

import click

from db.settings import load_settings
from db.token import load_or_create_token, tokens_of
from kasparro.demo import demo_settings


@click.command("token")
@click.option("--demo", is_flag=True, help="That of the demo.")
def command(*, demo: bool) -> None:
    """Print the token that triggering a run needs.

    It is SCHEDULER_TOKEN, or else one that is made once and kept in the state folder. Of several it is the first.
    """
    settings = load_settings()
    if demo:
        settings = demo_settings(settings)
    click.echo(tokens_of(settings.scheduler_token or load_or_create_token(settings.home))[0])
