"""The lines of all processes on one terminal: each with the name of the process that it comes from, in its colour."""

import logging
import os
import sys
from typing import TextIO

import click

from db.display import printable_lines
from db.logs import configure_logging
from db.settings import Settings

_COLOURS = {"kasparro": "white", "simulator": "magenta", "ingestor": "green", "server": "cyan"}
_WIDTH = max(map(len, _COLOURS))


class Console(logging.Handler):
    """Writes to standard error; plain text where that is no terminal or NO_COLOR is set (no-color.org).

    As a handler of logging it writes what this process itself has to say.
    """

    def __init__(self, *, bare: bool, stream: TextIO | None = None) -> None:
        """With `bare`, lines pass as they are: JSON stays JSON."""
        super().__init__()
        self._stream = stream or sys.stderr
        self._bare = bare
        self._coloured = self._stream.isatty() and not os.environ.get("NO_COLOR")

    def emit(self, record: logging.LogRecord) -> None:
        """Write a log record of this process."""
        self.line("kasparro", self.format(record))

    def line(self, name: str, text: str) -> None:
        """Write a line of the process `name`; whatever is in it, a terminal only prints it."""
        text = printable_lines(text)
        self._stream.write(f"{text}\n" if self._bare else f"{self._prefix(name)} {text}\n")
        self._stream.flush()

    def _prefix(self, name: str) -> str:
        prefix = f"{name:{_WIDTH}} |"
        return click.style(prefix, fg=_COLOURS[name], bold=name == "kasparro" or None) if self._coloured else prefix


def open_console(settings: Settings) -> Console:
    """Return the console of a supervisor, and send this process's own log lines the way that `settings` say."""
    console = Console(bare=settings.log_format == "json")
    configure_logging(settings)
    if settings.log_format == "console":
        logging.getLogger().handlers[:] = [console]
    return console
