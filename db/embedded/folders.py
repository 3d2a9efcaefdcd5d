"""The folders of the server, and their permissions.

We own the state folder with `postgres.lock`, `postgres.log` and `postgres.url`. The server's
account owns the server folder `postgres/` in it, with `data/`, `run/` (the socket) and, where
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
"""A part of the socket's name; the server does not listen on the port."""

# sockaddr_un.sun_path takes 108 bytes on Linux and 104 on macOS, with the closing NUL.
_SOCKET_PATH_LIMIT = 103
_SOCKET_NAME = f".s.PGSQL.{PORT}"


def has_data(home: Path) -> bool:
    """Return whether a server has ever been started in the state folder."""
    return (home / "postgres" / "data").exists()


def running_dsn(home: Path) -> str | None:
    """Return the DSN of the server that a process runs in `home`, None if there is none.

    After a kill -9 of that process the DSN may be stale: connect to find out.
    """
    try:
        return url_file(home).read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None


def url_file(home: Path) -> Path:
    """Return the file with the DSN of the running server."""
    return home / "postgres.url"


def remove_server_folder(home: Path) -> None:
    """Remove the server folder in `home` and all its data, after the server has ended.

    Follows a link only if `create_server_folder` made it. Raises FolderUnusableError.
    """
    server_folder = home / "postgres"
    if server_folder.is_symlink():
        target, system_folder = (
            server_folder.resolve(),
            platformdirs.site_state_path("kasparro").resolve(),
        )
        if target.parent != system_folder or not target.name.startswith("postgres-"):
            raise FolderUnusableError(
                folder=server_folder, reason=f"it is a link to {target}: remove both yourself"
            )
        if target.exists():
            shutil.rmtree(target)
        server_folder.unlink()
    elif server_folder.exists():
        shutil.rmtree(server_folder)


def make_home(home: Path) -> None:
    """Create the private state folder; as root, other users may pass through it."""
    home.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)


def create_server_folder(home: Path, account: Account) -> Path:
    """Create the server folder in the existing folder `home`, and return its real path.

    If we are root and the server's account cannot reach `home`, the server folder is created in
    the system's state folder (/var/lib/kasparro) and `home/postgres` is a link to it, so that the
    modes of other folders stay unchanged. Raises FolderUnusableError.
    """
    server_folder = home / "postgres"
    if account.drops_root and not account.can_execute(home):
        _allow_passage(home, account)
    if account.drops_root and not server_folder.exists() and not account.can_execute(home):
        server_folder.unlink(missing_ok=True)  # a link whose target was removed
        system_folder = platformdirs.site_state_path("kasparro")
        system_folder.mkdir(mode=0o711, parents=True, exist_ok=True)
        server_folder.symlink_to(tempfile.mkdtemp(prefix="postgres-", dir=system_folder))
    server_folder = server_folder.resolve()
    account.make_private(server_folder)
    if not account.can_execute(server_folder):
        raise FolderUnusableError(
            folder=server_folder, reason=f"user {account.uid} cannot enter it"
        )
    return server_folder


def make_socket_folder(server_folder: Path, account: Account) -> Path:
    """Create the folder of the socket, for the server's account and root only, and return it.

    If the server folder's path is not suitable for a socket, the folder is created among the
    system's temporary files, with a name derived from that path. Raises SocketFolderError.
    """
    run = server_folder / "run"
    if _fits(run):
        account.make_private(run)
        return run
    digest = hashlib.sha256(os.fsencode(server_folder)).hexdigest()
    folder = Path(tempfile.gettempdir(), f"kasparro-{digest[:12]}")
    if not _fits(folder) or not account.can_execute(folder.parent):
        raise SocketFolderError(
            folder=run,
            reason=f"its path is too long or has a comma, and {folder} is not usable either",
        )
    _claim(folder, account)
    return folder


def _allow_passage(home: Path, account: Account) -> None:
    """Let other users pass through the state folder, unless it is the user's home directory."""
    if home != Path.home() and account.can_execute(home.parent):
        home.chmod(home.stat().st_mode | 0o011)


def _fits(folder: Path) -> bool:
    """Return whether a socket fits there and into a DSN, where a comma separates hosts."""
    return len(os.fsencode(folder / _SOCKET_NAME)) <= _SOCKET_PATH_LIMIT and "," not in str(folder)


def _claim(folder: Path, account: Account) -> None:
    """Create a private folder in a public one. Raises SocketFolderError if another user owns it."""
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in {account.uid, os.geteuid()}:
            raise SocketFolderError(folder=folder, reason="it belongs to another user") from None
    account.make_private(folder)
