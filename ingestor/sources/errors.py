"""Why a source could not be read, named by what happens next.

SourceError
├── SourceUnavailableError  it is down, slow or has had enough of us: the next poll tries again
├── SourceRefusedError      our key, request or path is wrong: a person has to act
│   └── SourceMissingError  it has not what was asked for: of several things the others may be there
└── SourceMalformedError    it answered with something that is not what it should be: nothing of it is stored
"""

import datetime

from common.display import displayed

__all__ = [
    "SourceError",
    "SourceMalformedError",
    "SourceMissingError",
    "SourceRefusedError",
    "SourceUnavailableError",
]


class SourceError(Exception):
    """A source cannot be read; the message is a sentence for people and holds no secret.

    It is kept with the run and shown to everybody: it is one printable line, without the user info
    of URLs.
    """

    def __init__(self, message: str) -> None:
        super().__init__(displayed(message))


class SourceUnavailableError(SourceError):
    """The source may answer later; `retry_at` is when it asked to be left alone until, where it said so."""

    def __init__(self, message: str, retry_at: datetime.datetime | None = None) -> None:
        super().__init__(message)
        self.retry_at = retry_at


class SourceRefusedError(SourceError):
    """The source understood us and said no; the message says what to change."""


class SourceMissingError(SourceRefusedError):
    """The source does not know what was asked for (404)."""


class SourceMalformedError(SourceError):
    """The body is not what it should be; the message names the path inside it, or the columns.

    `seen` is what was found instead, for the terminal of whoever looks into it and for nothing that
    is published: it quotes a file, which may be one that nobody meant to be read.
    """

    def __init__(self, message: str, seen: str | None = None) -> None:
        super().__init__(message)
        self.seen = None if seen is None else displayed(seen)
