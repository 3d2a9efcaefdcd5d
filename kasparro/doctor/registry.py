"""Check the registry of contract addresses: when each source's was read, and what failed."""

from db.connect.types import Connection
from db.read.registry import RegistryReading, registry_readings
from kasparro.cli.common.terminal import with_count
from kasparro.doctor.findings import Finding

SUBJECT = "Addresses"
LATER = "nothing: it is read again later, and what was read before counts until then"


async def check_registry(connection: Connection) -> list[Finding]:
    """Return a line for each registry that was read or failed, and one for each of its notes."""
    found = []
    for reading in await registry_readings(connection):
        found.append(_finding(reading))
        found += [
            Finding("warn", SUBJECT, f"{reading.source}: {with_count(note)}")
            for note in reading.notes
        ]
    return found


def _finding(reading: RegistryReading) -> Finding:
    counts = f"{reading.addresses:,} addresses of {reading.listings:,} listings"
    read = f", read {reading.read_at:%Y-%m-%d %H:%M} UTC" if reading.read_at else ""
    text = f"{reading.source}: {counts}{read}" if read else f"{reading.source}: not read yet"
    if reading.error is None:
        return Finding("ok", SUBJECT, text)
    failed = f"{text}; readings that failed since: {reading.failures}, the last: {reading.error}"
    return Finding("warn", SUBJECT, failed, LATER)
