"""`csv.toml` next to the files: what a user states about a file overrides the file."""

import datetime
import fnmatch
import hashlib
import tomllib
from pathlib import Path
from typing import Literal

import msgspec

from ingestor.sources.errors import SourceRefusedError
from ingestor.sources.files.columns import Columns
from ingestor.sources.times import zone_named

__all__ = ["FILE_NAME", "Mapping", "mapping_of"]

FILE_NAME = "csv.toml"


class Mapping(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """The settings of `csv.toml` for a file. The survey finds those that are left out."""

    delimiter: str | None = None
    decimal: Literal[".", ","] | None = None
    encoding: str | None = None
    header: tuple[str, ...] | None = None
    """The headers of a file without a header line."""
    columns: dict[str, str] = {}
    """The header of each role; "" for a role without a column."""
    symbol: str | None = None
    name: str | None = None
    currency: str | None = None
    time_zone: str | None = None
    day_first: bool | None = None
    change: Literal["percent", "fraction"] | None = None

    @property
    def digest(self) -> str:
        """Return a digest of the mapping, "" if it is empty."""
        return (
            ""
            if self == Mapping()
            else hashlib.blake2b(msgspec.json.encode(self), digest_size=8).hexdigest()
        )

    @property
    def zone(self) -> datetime.tzinfo:
        """Return the zone of times without a zone."""
        return zone_named(self.time_zone) if self.time_zone else datetime.UTC


def mapping_of(path: Path) -> Mapping:
    """Return the mapping of a file; for each field the last pattern that matches is used.

    Raises SourceRefusedError with the place if `csv.toml` cannot be read.
    """
    place = path.parent / FILE_NAME
    try:
        stated = _read(place)
    except FileNotFoundError:
        return Mapping()
    except OSError as error:
        raise SourceRefusedError(f"{place}: {error.strerror}") from None
    found = Mapping()
    for pattern, mapping in stated.items():
        if fnmatch.fnmatchcase(path.name, pattern):
            given = {field: getattr(mapping, field) for field in mapping.__struct_fields__}
            found = msgspec.structs.replace(
                found, **{field: value for field, value in given.items() if value not in (None, {})}
            )
    return found


def _read(place: Path) -> dict[str, Mapping]:
    try:
        stated = tomllib.loads(place.read_text(encoding="utf-8"))
        mappings = msgspec.convert(stated, dict[str, Mapping])
        for mapping in mappings.values():
            _check(mapping)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, ValueError) as error:
        raise SourceRefusedError(f"{place}: {error}") from None
    return mappings


def _check(mapping: Mapping) -> None:
    """Raise ValueError for a value that is not valid for any file."""
    if unknown := sorted(mapping.columns.keys() - set(Columns.__struct_fields__)):
        raise ValueError(
            f"columns.{unknown[0]} is not a column; there are "
            f"{', '.join(Columns.__struct_fields__)}"
        )
    if mapping.delimiter is not None and (
        len(mapping.delimiter) != 1 or mapping.delimiter in '"\r\n'
    ):
        raise ValueError(f"delimiter must be one character, and is {mapping.delimiter!r}")
    if mapping.encoding is not None:
        try:
            "".encode(mapping.encoding)
        except LookupError:
            raise ValueError(
                f"{mapping.encoding!r} is not an encoding; write one such as utf-8 or cp1252"
            ) from None
    zone_named(mapping.time_zone or "UTC")
