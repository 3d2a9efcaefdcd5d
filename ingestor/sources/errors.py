"""The errors of a source, named by what happens next.

SourceError
├── SourceUnavailableError  it is down, slow or limits the rate: the next poll tries again
├── SourceRefusedError      our key, request or path is wrong: a person has to act
│   └── SourceMissingError  it does not have this item; others may be there
└── SourceMalformedError    its body cannot be understood: nothing of it is stored
"""

import datetime

from common.display import sanitize

__all__ = [
    "SourceError",
    "SourceMalformedError",
    "SourceMissingError",
    "SourceRefusedError",
    "SourceUnavailableError",
]


class SourceError(Exception):
    """A source cannot be read; the message says why.

    The run stores the message and everyone can read it: it is one printable line, without secrets
    and without the user info of URLs.
    """

    def __init__(self, message: str) -> None:
        super().__init__(sanitize(message))

    @property
    def in_full(self) -> str:
        """The message for the terminal of the operator, who may see what was found."""
        return str(self)


class SourceUnavailableError(SourceError):
    """The source may answer later; `retry_at` is the time that it asks to wait until, if any."""

    def __init__(self, message: str, retry_at: datetime.datetime | None = None) -> None:
        super().__init__(message)
        self.retry_at = retry_at


class SourceRefusedError(SourceError):
    """The source refuses the request; the message says what to change."""


class SourceMissingError(SourceRefusedError):
    """The source does not know the item (404)."""


class SourceMalformedError(SourceError):
    """The body is malformed; the message names the path inside it, or the columns.

    `private_detail` quotes the body. It goes to the terminal only and is never stored or served:
    the file may be the wrong one, and hold secrets.
    """

    def __init__(self, message: str, private_detail: str | None = None) -> None:
        super().__init__(message)
        self.private_detail = None if private_detail is None else sanitize(private_detail)

    @property
    def in_full(self) -> str:
        """The message, with what was found instead."""
        return f"{self}; {self.private_detail}" if self.private_detail else str(self)
