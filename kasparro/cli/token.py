"""`kasparro token`: the secret behind X-Scheduler-Token."""

import click

from common.scheduler_token import load_or_create_token, tokens_of
from kasparro.cli.common.which import demo_option, settings_for


@click.command("token")
@demo_option
def command(*, demo: bool | None) -> None:
    """Print the token that is needed to trigger runs.

    It is SCHEDULER_TOKEN, or else a token that is created once in the state folder. Of several
    tokens it is the first.
    """
    settings = settings_for(demo)
    click.echo(tokens_of(settings.scheduler_token or load_or_create_token(settings.home))[0])
