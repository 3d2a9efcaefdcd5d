"""The operating-system account of the server: ours, or an unprivileged one if we are root."""

import os
import pwd
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

import msgspec

from db.embedded.errors import PrivilegesError

# The first one that exists is used; an existing cluster keeps its owner.
_UNPRIVILEGED = ("postgres", "_postgres", "nobody")


class _PopenUser(TypedDict, total=False):
    user: int
    group: int
    extra_groups: Sequence[int]


class Account(msgspec.Struct, frozen=True):
    """The user and group of the server; with `drops_root` we are root and the server is not."""

    uid: int
    gid: int
    drops_root: bool

    def popen_options(self) -> _PopenUser:
        """Return the arguments of `subprocess` that start a program as this account."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []} if self.drops_root else {}

    def make_private(self, folder: Path) -> None:
        """Create `folder` if necessary, and make it accessible to this account only (mode 0700)."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.drops_root:
            os.chown(folder, self.uid, self.gid)
        folder.chmod(0o700)

    def can_execute(self, path: Path) -> bool:
        """Return whether this account may enter a folder or run a program.

        It asks the kernel, because file modes do not include ACLs. Raises PrivilegesError.
        """
        if not self.drops_root:
            return os.access(path, os.X_OK)
        try:
            done = subprocess.run(
                ["/bin/sh", "-c", 'test -x "$0"', path],
                cwd="/",
                check=False,
                **self.popen_options(),
            )
        except PermissionError as error:
            raise PrivilegesError(user=self.uid, reason=error.strerror) from error
        return done.returncode == 0


def server_account(data: Path) -> Account:
    """Return the account that runs the server.

    As root this is the owner of the existing data folder, or an unprivileged user. Raises
    PrivilegesError if that user does not exist.
    """
    if os.geteuid() != 0:
        return Account(uid=os.geteuid(), gid=os.getegid(), drops_root=False)
    if data.exists() and (owner := data.stat()).st_uid != 0:
        return Account(uid=owner.st_uid, gid=owner.st_gid, drops_root=True)
    for name in _UNPRIVILEGED:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(uid=entry.pw_uid, gid=entry.pw_gid, drops_root=True)
    raise PrivilegesError(user=_UNPRIVILEGED[-1], reason="the user does not exist")
