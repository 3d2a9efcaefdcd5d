"""The readings of each source's registry of contract addresses."""

import datetime

import msgspec

from db.connect.types import Connection
from db.notes import Note, decode_notes

_READINGS = """
SELECT source, read_at, listings, addresses, notes, due_at, failures, error
FROM registry_readings
WHERE part = ''
ORDER BY source
"""


class RegistryReading(msgspec.Struct, frozen=True):
    """The last reading of a registry: its counts and notes, and why the next one failed since."""

    source: str
    read_at: datetime.datetime | None
    listings: int
    addresses: int
    notes: list[Note]
    due_at: datetime.datetime | None
    failures: int
    error: str | None


async def registry_readings(connection: Connection) -> list[RegistryReading]:
    """Return the readings by source."""
    return [
        RegistryReading(source, read_at, listings, addresses, decode_notes(notes), *rest)
        for source, read_at, listings, addresses, notes, *rest in await connection.fetch(_READINGS)
    ]
