"""Removing what a demo left: its own files by name, so that nothing else is ever lost."""

import asyncio
from pathlib import Path

from db.embedded import EmbeddedPostgres
from db.token import FILE_NAME as TOKEN_FILE
from kasparro.errors import CommandError, RefusedError
from kasparro.folder_size import folder_bytes
from kasparro.occupancy import LOCK_FILE, occupy


def reset_demo(home: Path) -> int:
    """Remove the state folder of a demo and return how many bytes that freed.

    Raises RefusedError where it runs or is not a folder of its own, CommandError where something else lies in it,
    EmbeddedPostgresError.
    """
    if home.is_symlink():
        raise RefusedError(f"{home} is a link to {home.resolve()}, which may be anything: remove it yourself")
    with occupy(home, "being removed"):
        freed = folder_bytes((home / "postgres").resolve())
        asyncio.run(EmbeddedPostgres(home).remove())
        for name in (TOKEN_FILE, LOCK_FILE):
            (home / name).unlink(missing_ok=True)
        left = sorted(path.name for path in home.iterdir())
        if left:
            raise CommandError(f"the demo's files are gone from {home}, but it holds others too: {', '.join(left)}")
        home.rmdir()
    return freed
