"""Where peers are installed: in the user's cache folder, one folder a lock file, made once."""

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


def installed(name: str, lock: Path, install: Callable[[Path], None]) -> Path:
    """Return the folder of a peer as its lock file has it; `install` fills it where it is not there yet."""
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()[:12]
    folder = platformdirs.user_cache_path("kasparro") / "bench" / f"{name}-{digest}"
    if folder.exists():
        return folder
    say(f"installing {name} into {folder} ...")
    folder.parent.mkdir(parents=True, exist_ok=True)
    for outdated in folder.parent.glob(f"{name}-*"):
        shutil.rmtree(outdated)
    # Half an installation would be taken for a whole one.
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
    ran = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if ran.returncode:
        raise ProgramError(
            f"{command[0]} ended with {ran.returncode}: {ran.stdout[-2000:]}{ran.stderr[-2000:]}"
        )
    return ran.stdout
