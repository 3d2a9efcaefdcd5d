"""Log lines of every process: structlog over the standard library, as text or as JSON."""

import datetime
import io
import logging
import sys
from collections.abc import Callable
from typing import TextIO

import msgspec
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from common.display import printable, printable_lines, sanitize, without_user_info
from common.settings import Settings


def _clean_event(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Make every text of an event printable, and mask the user info of URLs."""
    for key, value in event.items():
        if key == "exc_info":
            continue  # the renderer needs the exception itself, and cleans its traceback
        if isinstance(value, str):
            event[key] = sanitize(value)
        elif isinstance(value, BaseException):
            event[key] = sanitize(str(value))
        elif isinstance(value, (list, tuple)):
            event[key] = [sanitize(item) if isinstance(item, str) else item for item in value]
    return event


def _plain_traceback(output: TextIO, info: structlog.typing.ExcInfo) -> None:
    """Write a traceback without local variables, which may hold secrets, and printable."""
    text = io.StringIO()
    structlog.dev.plain_traceback(text, info)
    output.write(printable_lines(without_user_info(text.getvalue())))


_SHARED: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.stdlib.PositionalArgumentsFormatter(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
]


class LogEvent(msgspec.Struct, frozen=True):
    """A message for a logger of the standard library, for lines that are written very often.

    structlog's processors take longer than most requests; the line is the same, except for colours.
    """

    name: str
    fields: dict[str, object]

    def __str__(self) -> str:
        return " ".join([self.name, *(f"{key}={value}" for key, value in self.fields.items())])


class _Formatter(structlog.stdlib.ProcessorFormatter):
    """structlog's formatter, with a faster one for LogEvent."""

    quick: Callable[[logging.LogRecord, LogEvent], str] | None = None

    def format(self, record: logging.LogRecord) -> str:
        """Return a line."""
        if self.quick is not None and isinstance(record.msg, LogEvent):
            return self.quick(record, record.msg)
        return super().format(record)


def _json_line(record: logging.LogRecord, event: LogEvent) -> str:
    line = {
        **event.fields,
        "event": event.name,
        "logger": record.name,
        "level": record.levelname.lower(),
    }
    return _json_text(line | {"timestamp": _iso_time(record.created)})


def _console_line(record: logging.LogRecord, event: LogEvent) -> str:
    fields = " ".join(f"{key}={event.fields[key]}" for key in sorted(event.fields))
    level, name = record.levelname.lower(), record.name
    return printable(f"{_iso_time(record.created)} [{level:<9}] {event.name:<30} [{name}] {fields}")


def _iso_time(seconds: float) -> str:
    at = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return at.isoformat(timespec="microseconds")[:-6] + "Z"


def _json_text(event: EventDict, **_: object) -> str:
    fields = {
        key: without_user_info(value) if isinstance(value, str) else value
        for key, value in event.items()
    }
    # JSON escapes fewer characters than a terminal interprets.
    return printable(msgspec.json.encode(fields, enc_hook=repr).decode())


def _drop_color_message(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    event.pop("color_message", None)  # uvicorn's second copy of the message, with escape codes
    return event


def configure_logging(settings: Settings, stream: TextIO | None = None) -> None:
    """Send all loggers of this process through structlog to `stream`, by default standard error."""
    output = stream or sys.stderr
    renderer: list[Processor]
    quick: Callable[[logging.LogRecord, LogEvent], str] | None
    if settings.log_format == "json":
        quick = _json_line
        renderer = [
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(serializer=_json_text),
        ]
    else:
        quick = None if output.isatty() else _console_line
        renderer = [
            structlog.dev.ConsoleRenderer(
                colors=output.isatty(), exception_formatter=_plain_traceback
            )
        ]
    formatter = _Formatter(
        foreign_pre_chain=_SHARED,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            _drop_color_message,
            _clean_event,
            *renderer,
        ],
    )
    formatter.quick = quick
    handler = logging.StreamHandler(output)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
