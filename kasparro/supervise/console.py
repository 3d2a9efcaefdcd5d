"""The lines of all processes on one terminal, each after the coloured name of its process."""

import errno
import logging
import os
import sys
from typing import TextIO

import click

from common.display import printable_lines
from common.logs import configure_logging
from common.settings import Settings

_COLOURS = {"kasparro": "white", "simulator": "magenta", "ingestor": "green", "server": "cyan"}
_WIDTH = max(map(len, _COLOURS))


class ConsoleLines:
    """Writes lines to a stream; lines that cannot be written are dropped and counted.

    A full disk or a closed reader must not end the supervisor. Lines are not buffered: a buffer
    would be written in part, and again at exit, which changes the exit code.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._raw = getattr(getattr(stream, "buffer", None), "raw", None)
        self._reason = ""
        self.dropped = 0

    def write(self, text: str) -> bool:
        """Write a line and return whether it was written."""
        try:
            self._write(f"{text}\n")
        except (OSError, ValueError) as error:  # ValueError: it was closed
            self.dropped += 1
            self._reason = getattr(error, "strerror", None) or str(error)
            return False
        return True

    def take_dropped(self) -> str | None:
        """Return a sentence about the lines dropped since the last call, None without any."""
        if not self.dropped:
            return None
        count, self.dropped = self.dropped, 0
        lines = "1 line was" if count == 1 else f"{count:,} lines were"
        return f"{lines} dropped: the output could not be written ({self._reason})"

    def _write(self, text: str) -> None:
        if self._raw is None:
            self._stream.write(text)
            self._stream.flush()
            return
        self._stream.flush()
        left = memoryview(text.encode(errors="backslashreplace"))
        while left:
            written = self._raw.write(left)
            if written is None:  # another process made it non-blocking, and it is full
                raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
            left = left[written:]


class Console(logging.Handler):
    """Writes to standard error, without colours if it is not a terminal or NO_COLOR is set.

    See no-color.org. As a logging handler it writes the supervisor's own messages. It drops lines
    that cannot be written, and reports their number with the next line that can.
    """

    def __init__(self, *, bare: bool, stream: TextIO | None = None) -> None:
        """With `bare`, lines pass unchanged: JSON stays JSON."""
        super().__init__()
        stream = stream or sys.stderr
        self._lines = ConsoleLines(stream)
        self._bare = bare
        self._coloured = stream.isatty() and not os.environ.get("NO_COLOR")

    def emit(self, record: logging.LogRecord) -> None:
        """Write a log record of this process."""
        self.line("kasparro", self.format(record))

    def line(self, name: str, text: str) -> None:
        """Write a line of the process `name`, without terminal control characters."""
        before = self._lines.dropped
        text = printable_lines(text)
        if self._lines.write(text if self._bare else f"{self._prefix(name)} {text}") and before:
            logging.getLogger(__name__).warning("%s", self._lines.take_dropped())

    def _prefix(self, name: str) -> str:
        prefix = f"{name:{_WIDTH}} |"
        return (
            click.style(prefix, fg=_COLOURS[name], bold=name == "kasparro" or None)
            if self._coloured
            else prefix
        )


def open_console(settings: Settings) -> Console:
    """Return the console of a supervisor, and send this process's own log lines to it."""
    console = Console(bare=settings.log_format == "json")
    configure_logging(settings)
    # The formatter stays; the console replaces the stream, since it survives write errors.
    (handler,) = logging.getLogger().handlers
    if settings.log_format == "json":
        console.setFormatter(handler.formatter)
    logging.getLogger().handlers[:] = [console]
    return console
