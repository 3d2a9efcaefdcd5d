"""Check the database's disk space: present size, growth, and final size with these settings."""

import shutil

from rich.filesize import decimal

from common.settings import Settings
from db.connect.types import Connection
from db.read.sizes import Forecast, Sizes, forecast, read_growth, read_sizes
from ingestor.run.startup import retention_of
from kasparro.doctor.findings import Finding

REMEDY = (
    "lower RAW_RETENTION_DAYS (or set RAW_RETENTION_HOURS), HISTORY_FULL_DAYS or "
    "HISTORY_RETENTION_DAYS, or make room"
)


async def check_space(connection: Connection, settings: Settings) -> Finding:
    """Return the sizes of the database; warn if its disk, where it is ours, will be full."""
    sizes, growth = await read_sizes(connection), await read_growth(connection)
    free = shutil.disk_usage(settings.home).free if settings.database_url is None else None
    return space_finding(settings, sizes, forecast(sizes, growth, retention_of(settings)), free)


def space_finding(
    settings: Settings, sizes: Sizes, expected: Forecast | None, free: int | None
) -> Finding:
    """Return the finding; `free` is None if the database's disk is unknown."""
    now = f"{decimal(sizes.database_bytes)} now"
    if expected is None:
        return Finding(
            "ok", "Space", f"{now}; what it comes to is known after some minutes of runs"
        )
    raw_setting = f"RAW_RETENTION_DAYS={settings.raw_retention_days}"
    if settings.raw_retention_hours is not None:
        raw_setting = f"RAW_RETENTION_HOURS={settings.raw_retention_hours}"
    text = (
        f"{now}, {_size(expected.bytes_per_hour)} more an hour; "
        f"up to {_size(expected.database_bytes)} in the end: "
        f"bodies {_size(expected.raw_bytes)} ({raw_setting}), "
        f"history {_size(expected.history_bytes)} "
        f"(HISTORY_RETENTION_DAYS={settings.history_retention_days})"
    )
    if free is not None and expected.database_bytes - sizes.database_bytes > free:
        hours = free / expected.bytes_per_hour
        # Two days.
        when = f"{hours:.0f} hours" if hours < 48 else f"{hours / 24:.0f} days"  # noqa: PLR2004
        return Finding("warn", "Space", f"{text}; the disk is full in about {when}", REMEDY)
    return Finding("ok", "Space", text)


def _size(size: float) -> str:
    return decimal(round(size))
