"""Remove a demo: only its own files, by their names."""

import asyncio
from pathlib import Path

from common.scheduler_token import FILE_NAME as TOKEN_FILE
from db.embedded import EmbeddedPostgres
from kasparro.cli.common.errors import CommandError, CommandRefusedError
from kasparro.cli.common.folder_size import folder_bytes
from kasparro.supervise.process_lock import LOCK_FILE, lock_home


def reset_demo(home: Path) -> int:
    """Remove the state folder of a demo and return how many bytes that freed.

    Raises CommandRefusedError if the demo runs or its folder is a link, CommandError if the folder
    holds other files, EmbeddedPostgresError.
    """
    if home.is_symlink():
        raise CommandRefusedError(
            f"{home} is a link to {home.resolve()}, which may be anything: remove it yourself"
        )
    with lock_home(home, "being removed"):
        freed = folder_bytes((home / "postgres").resolve())
        asyncio.run(EmbeddedPostgres(home).remove())
        for name in (TOKEN_FILE, LOCK_FILE):
            (home / name).unlink(missing_ok=True)
        left = sorted(path.name for path in home.iterdir())
        if left:
            raise CommandError(
                f"the demo's files are gone from {home}, but it holds others too: {', '.join(left)}"
            )
        home.rmdir()
    return freed
