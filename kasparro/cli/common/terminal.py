"""Print lines without the control characters that a provider, a file or an error may contain."""

import click
import msgspec
from rich.text import Text

from common.display import printable, sanitize
from db.notes import Note


def say(text: str, *, err: bool = False) -> None:
    """Print one line."""
    click.echo(sanitize(text), err=err)


def say_json(value: object) -> None:
    """Print a value as JSON, with all control characters escaped."""
    click.echo(printable(msgspec.json.encode(value).decode()))


def with_count(note: Note) -> str:
    """Return a note's text and, where it was noted several times, how often."""
    return note.text if note.count == 1 else f"{note.text} ({note.count:,} times)"


def cell(text: str, style: str = "") -> Text:
    """Return text for a table or a screen, without markup."""
    return Text(sanitize(text), style)
