"""Where the server's files lie, and who may enter there.

The state folder holds `postgres.lock`, `postgres.log` and `postgres.url`, which are ours, and the
room `postgres/`, which belongs to the server's account: `data/`, `run/` (the socket) and, where
needed, a copy of the programs.
"""

import hashlib
import os
import shutil
import stat
import tempfile
from pathlib import Path

import platformdirs

from db.embedded.account import Account
from db.embedded.errors import FolderUnusableError, SocketFolderError

PORT = 5432
"""Names the socket; nothing listens on it."""

# sockaddr_un.sun_path takes 108 bytes on Linux and 104 on macOS, with the closing NUL.
_SOCKET_PATH_LIMIT = 103
_SOCKET_NAME = f".s.PGSQL.{PORT}"


def has_data(home: Path) -> bool:
    """Tell whether a server has ever been started in the state folder."""
    return (home / "postgres" / "data").exists()


def remove_room(home: Path) -> None:
    """Remove the server's room in `home` with all data; the server has ended. Raises FolderUnusableError.

    A link is followed only to the shelter that `make_room` makes.
    """
    room = home / "postgres"
    if room.is_symlink():
        target, shelter = room.resolve(), platformdirs.site_state_path("kasparro").resolve()
        if target.parent != shelter or not target.name.startswith("postgres-"):
            raise FolderUnusableError(
                folder=room, reason=f"it is a link to {target}: remove both yourself"
            )
        if target.exists():
            shutil.rmtree(target)
        room.unlink()
    elif room.exists():
        shutil.rmtree(room)


def make_home(home: Path) -> None:
    """Make the state folder, private, but for the way through it to the room where we are root."""
    home.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)


def make_room(home: Path, account: Account) -> Path:
    """Make the server's room in `home`, which is there, and return the room's real path.

    Where we are root and the server's account cannot get to `home`, the room lies in the system's
    state folder (/var/lib/kasparro) and `home/postgres` is a link to it: no folder that is not ours
    is opened to others. Raises FolderUnusableError.
    """
    room = home / "postgres"
    if account.dropped and not account.can_execute(home):
        _open_way(home, account)
    if account.dropped and not room.exists() and not account.can_execute(home):
        room.unlink(missing_ok=True)  # a link whose target was removed
        shelter = platformdirs.site_state_path("kasparro")
        shelter.mkdir(mode=0o711, parents=True, exist_ok=True)
        room.symlink_to(tempfile.mkdtemp(prefix="postgres-", dir=shelter))
    room = room.resolve()
    account.make_private(room)
    if not account.can_execute(room):
        raise FolderUnusableError(folder=room, reason=f"user {account.uid} cannot enter it")
    return room


def make_socket_folder(room: Path, account: Account) -> Path:
    """Make the folder of the socket, which only the server's account and root can enter, and return it.

    Where the room's path does not do for a socket, it is a folder of a name made from that path
    below the system's folder for temporary files. Raises SocketFolderError.
    """
    run = room / "run"
    if _fits(run):
        account.make_private(run)
        return run
    folder = Path(
        tempfile.gettempdir(), f"kasparro-{hashlib.sha256(os.fsencode(room)).hexdigest()[:12]}"
    )
    if not _fits(folder) or not account.can_execute(folder.parent):
        raise SocketFolderError(
            folder=run, reason=f"its path is too long or has a comma, and {folder} will not do"
        )
    _claim(folder, account)
    return folder


def _open_way(home: Path, account: Account) -> None:
    """Let others pass through the state folder, not look into it: ours by name, unless it is the user's home."""
    if home != Path.home() and account.can_execute(home.parent):
        home.chmod(home.stat().st_mode | 0o011)


def _fits(folder: Path) -> bool:
    """Tell whether a socket can be made there and named in a DSN, where a comma separates hosts."""
    return len(os.fsencode(folder / _SOCKET_NAME)) <= _SOCKET_PATH_LIMIT and "," not in str(folder)


def _claim(folder: Path, account: Account) -> None:
    """Make a private folder where anyone may make one; one that is there must be ours already."""
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in {account.uid, os.geteuid()}:
            raise SocketFolderError(folder=folder, reason="it belongs to someone else") from None
    account.make_private(folder)
