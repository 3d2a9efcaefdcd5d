"""Recorded websocket sessions: `<seconds>: <frame>` lines, and the bodies read before."""

import gzip
import re
from pathlib import Path
from typing import Final

from msgspec import Struct

_RECEIVED: Final = re.compile(r"(\d+(?:\.\d+)?): (.*)", re.DOTALL)
_BODY: Final = re.compile(r"https://\S+ -> \d+(?:\.\d+)?: (.*)", re.DOTALL)


class SessionFrame(Struct, frozen=True):
    """A frame as it was received; `at` is the recorder's clock, in seconds since 1970."""

    at: float
    text: str


class RecordedSession(Struct, frozen=True):
    """The frames of one connection, in their order."""

    name: str
    frames: list[SessionFrame]


def read_session(path: Path) -> RecordedSession:
    """Read a recording, plain or gzip; what the client sent is left out."""
    matches = (_RECEIVED.fullmatch(line) for line in _lines(path))
    frames = [SessionFrame(float(match[1]), match[2]) for match in matches if match]
    return RecordedSession(path.name, frames)


def read_body(path: Path) -> bytes:
    """Return the first REST body of a recording. Raises ValueError if there is none."""
    for line in _lines(path):
        if match := _BODY.fullmatch(line):
            return match[1].encode()
    raise ValueError(f"{path} has no line of a REST body")


def _lines(path: Path) -> list[str]:
    content = path.read_bytes()
    plain = gzip.decompress(content) if path.suffix == ".gz" else content
    return plain.decode().splitlines()
