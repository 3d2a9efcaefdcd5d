"""What a check found."""

from typing import Literal

import msgspec

Level = Literal["ok", "warn", "fail"]


class Finding(msgspec.Struct, frozen=True):
    """One line of the doctor: what was looked at, what it is like, and what to do where it is not well."""

    level: Level
    subject: str
    text: str
    remedy: str | None = None
