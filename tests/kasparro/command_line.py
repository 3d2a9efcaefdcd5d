"""Run `kasparro` as a user does: in a process of its own, with the given settings only."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_SECONDS = 120


def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run `kasparro ARGUMENTS` to its end."""
    return run_in(ROOT, *arguments, **environ)


def run_in(folder: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """The same with `folder` as the working folder, where `.env` is read."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name in ("PATH", "HOME", "TMPDIR") or name.startswith("COV")
    }
    return subprocess.run(
        [sys.executable, "-m", "kasparro", *arguments],
        cwd=folder,
        env={**inherited, "PYTHONPATH": str(ROOT), **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )


async def kasparro(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run `kasparro ARGUMENTS` in a thread, so that the event loop can serve its requests."""
    return await asyncio.to_thread(run, *arguments, **environ)
