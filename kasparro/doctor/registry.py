"""Check the registry of contract addresses: when each source's was read, and what failed."""

from db.connect.types import Connection
from db.notes import Note
from db.read.registry import RegistryReading, registry_readings
from ingestor.registry.reading import NOT_READ
from kasparro.cli.common.terminal import with_count
from kasparro.doctor.findings import Finding, Level

SUBJECT = "Addresses"
LATER = "nothing: it is read again later, and what was read before counts until then"


async def check_registry(connection: Connection) -> list[Finding]:
    """Return a line for each registry that was read or failed, and one for each of its notes."""
    found = []
    for reading in await registry_readings(connection):
        found.append(_finding(reading))
        found += [_note(reading.source, note) for note in reading.notes]
    return found


def _note(source: str, note: Note) -> Finding:
    """Return the line of a note; a part that could not be read is a warning."""
    level: Level = "warn" if note.about.startswith(NOT_READ) else "ok"
    return Finding(level, SUBJECT, f"{source}: {with_count(note)}")


def _finding(reading: RegistryReading) -> Finding:
    counts = f"{reading.addresses:,} addresses of {reading.listings:,} listings"
    read = f", read {reading.read_at:%Y-%m-%d %H:%M} UTC" if reading.read_at else ""
    text = f"{reading.source}: {counts}{read}" if read else f"{reading.source}: not read yet"
    if reading.error is None:
        return Finding("ok", SUBJECT, text)
    failed = f"{text}; readings that failed since: {reading.failures}, the last: {reading.error}"
    return Finding("warn", SUBJECT, failed, LATER)
