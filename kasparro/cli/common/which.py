"""The Kasparro that a command uses: that of the settings, or the demo if only that runs."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

import click

from common.settings import Settings, load_settings
from db.embedded import has_data
from kasparro.cli.common.database import find_running
from kasparro.cli.common.errors import CommandRefusedError
from kasparro.demo.state import demo_settings, running_demo_settings
from kasparro.supervise.process_lock import LockHolder, find_lock_holder

Command = TypeVar("Command", bound=Callable[..., Any])


def demo_option(command: Command) -> Command:
    """Add `--demo/--no-demo` to a command: `demo` is None without the option."""
    text = "Use the demo, or not. [default: the demo if nothing else runs]"
    return click.option("--demo/--no-demo", "demo", default=None, help=text)(command)


# The value of the option.
def settings_for(demo: bool | None, *, market: bool = False, lasting: bool = False) -> Settings:  # noqa: FBT001
    """Return the settings of a command; say on standard error if they are a demo's by default.

    `market` means that the command reads sources: a demo must then be running. `lasting` means that
    it writes data that stays: if the state folder has other data, the demo must be named. Raises
    SettingsError, CommandRefusedError.
    """
    settings = load_settings()
    if demo is None:
        running = _sole_demo(settings)
        if running is None:
            return settings
        if lasting and has_data(settings.home):
            raise CommandRefusedError(
                f"only the demo runs, at {running.url}, and its prices are made up: use --demo for "
                f"it, or --no-demo for the data in {settings.home}"
            )
        click.echo(
            f"Using the demo at {running.url} (made-up prices); --no-demo for other data",
            err=True,
        )
    elif not demo:
        return settings
    return running_demo_settings() if market else demo_settings(settings)


def _sole_demo(settings: Settings) -> LockHolder | None:
    """Return the running demo, unless the Kasparro of the settings runs too."""
    if settings.database_url is not None:
        return None
    demo = find_lock_holder(demo_settings(settings).home)
    if demo is None or find_lock_holder(settings.home) is not None:
        return None
    return demo if asyncio.run(find_running(settings)) is None else None
