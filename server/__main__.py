"""`python -m server`: one server process.

Exit code 2: a setting must change; 1: the database is missing.
"""

import asyncio
import signal
import socket
import sys

import click
import uvloop

from common.display import sanitize
from common.logs import configure_logging
from common.scheduler_token import TokenFileError
from common.settings import Settings, SettingsError, load_settings
from db.connect.pool import DatabaseUnavailableError
from server.process import (
    AddressError,
    StartError,
    open_socket,
    quiet_uvicorn,
    raise_file_limit,
    serve,
    url_of,
    wait_for_database,
)
from server.workers import run_workers

BAD_SETTING = 2
FAILED = 1


def main() -> int:
    """Serve until SIGINT or SIGTERM; return the exit code."""
    try:
        settings = load_settings()
        configure_logging(settings)
        quiet_uvicorn()
        with open_socket(settings.host, settings.port) as listening:
            raise_file_limit()
            if settings.workers == 1:
                uvloop.run(_serve_until_signal(settings, listening))
            elif uvloop.run(_wait_for_database(settings)):
                run_workers(settings, listening, lambda: _print_url(url_of(listening)))
    except (SettingsError, AddressError) as error:
        click.echo(sanitize(str(error)), err=True)
        return BAD_SETTING
    except (StartError, DatabaseUnavailableError, TokenFileError) as error:
        click.echo(sanitize(str(error)), err=True)
        return FAILED
    return 0


async def _serve_until_signal(settings: Settings, listening: socket.socket) -> None:
    await serve(settings, listening, _stopping_event(), _print_url)


async def _wait_for_database(settings: Settings) -> bool:
    """Wait for the database once for all workers; return False after a signal to stop."""
    stopping = _stopping_event()
    await wait_for_database(settings, stopping)
    return not stopping.is_set()


def _stopping_event() -> asyncio.Event:
    """Return an event that SIGINT and SIGTERM set."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    return stopping


def _print_url(url: str) -> None:
    click.echo(f"Listening at {url}")


if __name__ == "__main__":
    sys.exit(main())
