"""Which Kasparro a command is about: the one that the settings mean, or the demo where that alone runs."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

import click

from common.settings import Settings, load_settings
from db.embedded import has_data
from kasparro.cli.common.database import find_running
from kasparro.cli.common.errors import CommandRefusedError
from kasparro.demo.state import demo_settings, running_demo_settings
from kasparro.supervise.process_lock import LockHolder, find_occupant

Command = TypeVar("Command", bound=Callable[..., Any])


def demo_option(command: Command) -> Command:
    """Add `--demo/--no-demo`; the command gets `demo`, None where neither is given."""
    text = "Of the demo, or not. [default: the demo, where nothing else runs]"
    return click.option("--demo/--no-demo", "demo", default=None, help=text)(command)


# What the option gave.
def settings_for(demo: bool | None, *, market: bool = False, lasting: bool = False) -> Settings:  # noqa: FBT001
    """Return the settings that a command works with; a line on standard error tells of a demo that nobody named.

    `market` says that sources will be asked: a demo's must then be running. `lasting` says that
    what the command makes outlives it: where there is other data besides, it will not take made-up
    prices for them unasked. Raises SettingsError, RefusedError.
    """
    settings = load_settings()
    if demo is None:
        running = _sole_demo(settings)
        if running is None:
            return settings
        if lasting and has_data(settings.home):
            raise CommandRefusedError(
                f"only the demo runs, at {running.url}, and its prices are made up: say --demo for it, "
                f"or --no-demo for what is in {settings.home}"
            )
        click.echo(
            f"Using the demo that runs at {running.url} (made-up prices); --no-demo for no demo",
            err=True,
        )
    elif not demo:
        return settings
    return running_demo_settings() if market else demo_settings(settings)


def _sole_demo(settings: Settings) -> LockHolder | None:
    """Return the demo that runs where nothing does that the settings mean."""
    if settings.database_url is not None:
        return None
    demo = find_occupant(demo_settings(settings).home)
    if demo is None or find_occupant(settings.home) is not None:
        return None
    return demo if asyncio.run(find_running(settings)) is None else None
