"""One `kasparro up` a state folder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from db.embedded import FolderUnusableError
from kasparro.cli.common.errors import CommandRefusedError
from kasparro.supervise.process_lock import LockHolder, find_lock_holder, lock_home

URL = "http://127.0.0.1:8000"


def test_a_folder_has_one_holder_at_a_time(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with lock_home(home, URL):
        assert find_lock_holder(home) == LockHolder(os.getpid(), URL)
        with (
            pytest.raises(
                CommandRefusedError, match=rf"already on {home} \(process {os.getpid()}, {URL}\)"
            ),
            lock_home(home, URL),
        ):
            pytest.fail("both hold it")
    assert find_lock_holder(home) is None
    with lock_home(home, URL):
        pass


def test_a_killed_holder_releases_the_folder(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path\n"
        "from kasparro.supervise.process_lock import lock_home\n"
        "with lock_home(Path(sys.argv[1]), 'url'): os.kill(os.getpid(), 9)"
    )
    subprocess.run(
        [sys.executable, "-c", code, tmp_path], cwd=Path(__file__).parents[2], check=False
    )
    assert (tmp_path / "kasparro.lock").read_bytes()
    assert find_lock_holder(tmp_path) is None
    with lock_home(tmp_path, URL):
        pass


def test_a_holder_without_an_address_counts(tmp_path: Path) -> None:
    with lock_home(tmp_path, URL):
        (tmp_path / "kasparro.lock").write_bytes(b"")
        with (
            pytest.raises(CommandRefusedError, match=f"already on {tmp_path}: stop"),
            lock_home(tmp_path, URL),
        ):
            pytest.fail("both hold it")


def test_a_missing_folder_has_no_holder(tmp_path: Path) -> None:
    assert find_lock_holder(tmp_path / "missing") is None


def test_a_file_in_the_folders_place_is_named(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(FolderUnusableError, match=f"{file} cannot be used"), lock_home(file, URL):
        pytest.fail("it is a file")
