"""The installations of peers: in the user's cache folder, one folder for each lock file."""

import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import platformdirs

from bench.programs import ProgramError
from bench.screen import say

HERE = Path(__file__).parent


def peer_folder(name: str, lock: Path, install: Callable[[Path], None]) -> Path:
    """Return the folder of a peer; `install` fills it unless the lock file is installed already."""
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()[:12]
    folder = platformdirs.user_cache_path("kasparro") / "bench" / f"{name}-{digest}"
    if folder.exists():
        return folder
    say(f"installing {name} into {folder} ...")
    folder.parent.mkdir(parents=True, exist_ok=True)
    for outdated in folder.parent.glob(f"{name}-*"):
        shutil.rmtree(outdated)
    # A partial installation would count as complete.
    unfinished = Path(tempfile.mkdtemp(prefix="unfinished-", dir=folder.parent))
    try:
        install(unfinished)
        unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return folder


def run(
    command: Sequence[str | Path], *, folder: Path, environment: Mapping[str, str] | None = None
) -> str:
    """Run a step of an installation and return what it printed. Raises ProgramError."""
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise ProgramError(
            f"{command[0]} ended with {done.returncode}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
        )
    return done.stdout
