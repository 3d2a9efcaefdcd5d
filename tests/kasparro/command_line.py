"""Calls `kasparro` as a user does: a process of its own, with no settings but those given."""

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
    """The same with `folder` as the working folder, where `.env` is looked for."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in ("PATH", "HOME", "TMPDIR") or name.startswith("COV")
    }
    return subprocess.run(
        [sys.executable, "-m", "kasparro", *arguments],
        cwd=folder,
        env={**kept, "PYTHONPATH": str(ROOT), **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )


async def kasparro(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run `kasparro ARGUMENTS` beside the event loop, which may serve what it talks to."""
    return await asyncio.to_thread(run, *arguments, **environ)
