"""`kasparro demo`: everything on a made-up market, or the removal of the demo."""

import click
from rich.filesize import decimal

from common.settings import load_settings
from kasparro.cli.up import start
from kasparro.demo.reset import reset_demo
from kasparro.demo.state import demo_settings


@click.command("demo")
@click.option(
    "--reset", is_flag=True, help="Remove the demo's state folder instead of starting it."
)
def command(*, reset: bool) -> None:
    """Start everything on a made-up market, or remove the demo.

    It needs no network, and has a state folder and a database of its own. The same as `kasparro up
    --demo`.
    """
    if not reset:
        start(demo=True)
        return
    home = demo_settings(load_settings()).home
    if not home.exists():
        click.echo(f"there is nothing to remove at {home}")
        return
    removed = reset_demo(home)
    click.echo(f"removed {home}, {decimal(removed)}: the next demo starts empty")
