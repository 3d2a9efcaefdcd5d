"""The columns of exports: their names, kinds and SQL."""

from typing import Literal

import msgspec

ColumnKind = Literal["word", "text", "number", "integer", "time"]


class ExportColumn(msgspec.Struct, frozen=True):
    """A column of an export, the SQL that yields it, and the kind of its values.

    A word is chosen by Kasparro, a text comes from outside, a number is a decimal of any length.
    """

    name: str
    kind: ColumnKind
    sql: str
