"""`python -m server`: one server process. Exit code 2: a setting must change; 1: there is no database to serve from."""

import asyncio
import logging
import signal
import socket
import sys

import click
import uvloop

from db.logs import configure_logging
from db.pool import DatabaseUnavailableError
from db.settings import Settings, SettingsError, load_settings
from db.token import TokenFileError
from server.process import AddressError, StartError, open_socket, raise_file_limit, serve

BAD_SETTING = 2
FAILED = 1


def main() -> int:
    """Serve until SIGINT or SIGTERM; return the exit code."""
    try:
        settings = load_settings()
        configure_logging(settings)
        # uvicorn tells of its own start and stop; ours is one line.
        logging.getLogger("uvicorn").setLevel(logging.WARNING)
        with open_socket(settings.host, settings.port) as listening:
            raise_file_limit()
            uvloop.run(_serve_until_told(settings, listening))
    except (SettingsError, AddressError) as error:
        click.echo(error, err=True)
        return BAD_SETTING
    except (StartError, DatabaseUnavailableError, TokenFileError) as error:
        click.echo(error, err=True)
        return FAILED
    return 0


async def _serve_until_told(settings: Settings, listening: socket.socket) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    await serve(settings, listening, stopping, lambda url: click.echo(f"Listening at {url}"))


if __name__ == "__main__":
    sys.exit(main())
