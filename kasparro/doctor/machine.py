"""Check the machine: Python, the state folder, the disk, the port."""

import os
import platform
import shutil
import sys
from pathlib import Path

from common.settings import Settings
from kasparro.cli.common.errors import CommandRefusedError
from kasparro.doctor.findings import Finding
from kasparro.supervise.ports import check_port
from kasparro.supervise.process_lock import find_lock_holder

OLDEST_PYTHON = (3, 11)
LOW_DISK_BYTES = 1_000_000_000
FULL_DISK_BYTES = 100_000_000


def check_python() -> Finding:
    """Check that Python is new enough."""
    text = f"{platform.python_version()} at {sys.executable}"
    if sys.version_info < OLDEST_PYTHON:
        return Finding("fail", "Python", text, "install Python 3.11 or newer")
    return Finding("ok", "Python", text)


def check_state_folder(settings: Settings) -> Finding:
    """Check that the state folder can be written or created."""
    home = settings.home
    existing = _nearest_existing(home)
    if not existing.is_dir():
        return Finding(
            "fail", "State folder", f"{existing} is a file", "set KASPARRO_HOME to a folder"
        )
    if not os.access(existing, os.W_OK | os.X_OK):
        remedy = "change its rights, or set KASPARRO_HOME to a folder of yours"
        return Finding("fail", "State folder", f"{existing} cannot be written", remedy)
    return Finding(
        "ok", "State folder", str(home) if existing == home else f"{home} (made at the first start)"
    )


def check_disk(settings: Settings) -> Finding:
    """Check that the state folder's disk has space."""
    free = shutil.disk_usage(_nearest_existing(settings.home)).free
    text = f"{free / 1e9:.1f} GB free at {settings.home}"
    remedy = "make room, or set KASPARRO_HOME to another disk, or lower HISTORY_RETENTION_DAYS"
    if free < FULL_DISK_BYTES:
        return Finding("fail", "Disk", text, remedy)
    if free < LOW_DISK_BYTES:
        return Finding("warn", "Disk", text, remedy)
    return Finding("ok", "Disk", text)


def check_server_port(settings: Settings) -> Finding:
    """Check that the port is free or Kasparro's own."""
    holder = find_lock_holder(settings.home)
    try:
        check_port(settings.host, settings.port)
    except CommandRefusedError as error:
        if holder is not None and holder.url.endswith(f":{settings.port}"):
            text = (
                f"{settings.port} is held by Kasparro itself, which runs (process {holder.pid}) at "
                f"{holder.url}"
            )
            return Finding("ok", "Port", text)
        problem, _, remedy = str(error).partition(": ")
        return Finding("fail", "Port", problem, remedy)
    return Finding("ok", "Port", f"{settings.port} of {settings.host} is free")


def _nearest_existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.parents) if path.exists())
