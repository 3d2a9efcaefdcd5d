"""The checks of `kasparro doctor`: `examine` runs them all, each in a module of its own."""

from collections.abc import AsyncIterator

from common.settings import Settings
from kasparro.doctor.database import check_database
from kasparro.doctor.findings import Finding
from kasparro.doctor.machine import check_disk, check_python, check_server_port, check_state_folder
from kasparro.doctor.sources import check_sources

__all__ = ["Finding", "examine"]


async def examine(settings: Settings) -> AsyncIterator[Finding]:
    """Yield the finding of each check as soon as it is available."""
    yield check_python()
    folder = check_state_folder(settings)
    yield folder
    yield check_disk(settings)
    yield check_server_port(settings)
    if folder.level == "fail" and settings.database_url is None:
        yield Finding(
            "fail", "Database", "the embedded database needs the state folder", "see there"
        )
    else:
        for finding in await check_database(settings):
            yield finding
    for finding in await check_sources(settings):
        yield finding
