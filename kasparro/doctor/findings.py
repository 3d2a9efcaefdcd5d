"""The finding of a check."""

from typing import Literal

import msgspec

Level = Literal["ok", "warn", "fail"]


class Finding(msgspec.Struct, frozen=True):
    """One line of the doctor: the subject, its state, and a remedy if necessary."""

    level: Level
    subject: str
    text: str
    remedy: str | None = None
