"""The scheduler token of a state folder: created once, readable by this user alone."""

import contextlib
import os
import re
import secrets
import tempfile
from pathlib import Path

FILE_NAME = "scheduler_token"


class TokenFileError(Exception):
    """The token's file cannot be read or created; the message is one line."""


def tokens_of(text: str) -> tuple[str, ...]:
    """Return the tokens of a text, separated by commas or lines: the current one first."""
    return tuple(token for part in re.split(r"[,\n]", text) if (token := part.strip()))


def load_or_create_token(home: Path) -> str:
    """Return the text of the token file in `home`; create it (256 bits, mode 0600) if necessary.

    The file may hold several tokens. Processes that call this at once all get the same one. Raises
    TokenFileError.
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
        raise TokenFileError(f"the scheduler token in {path} is empty: delete it to get a new one")
    return token


def _create(path: Path) -> None:
    # mkstemp creates a file of mode 0600; link() gives the complete file its name, unless another
    # process was first.
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(secrets.token_urlsafe(32) + "\n")
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(draft)
    finally:
        Path(draft).unlink()
