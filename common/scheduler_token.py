"""The scheduler token of a state folder: made once, kept for this user alone."""

import contextlib
import os
import re
import secrets
import tempfile
from pathlib import Path

FILE_NAME = "scheduler_token"


class TokenFileError(Exception):
    """The token's file cannot be read or made; the message is one line."""


def tokens_of(text: str) -> tuple[str, ...]:
    """Return the tokens in a text that commas or lines part: the present one, then those that are still good."""
    return tuple(token for part in re.split(r"[,\n]", text) if (token := part.strip()))


def load_or_create_token(home: Path) -> str:
    """Return the token kept in `home`, making it (256 bits, mode 0600) where there is none; or several, as they stand.

    Many processes may do so at once: all get the same one. Raises TokenFileError.
    """
    path = home / FILE_NAME
    try:
        home.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            _create(path)
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise TokenFileError(
            f"the scheduler token in {path} cannot be used ({reason}): set SCHEDULER_TOKEN"
        ) from error
    if not tokens_of(token):
        raise TokenFileError(
            f"the scheduler token in {path} is empty: delete the file, and a new one is made"
        )
    return token


def _create(path: Path) -> None:
    # mkstemp makes a file of mode 0600; link() names it, already whole, unless another process was
    # first.
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(secrets.token_urlsafe(32) + "\n")
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(draft)
    finally:
        Path(draft).unlink()
