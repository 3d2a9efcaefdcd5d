"""How much of a disk a folder takes."""

import os
from pathlib import Path

_BLOCK_BYTES = 512  # the unit of st_blocks on every system that has it


def folder_bytes(folder: Path) -> int:
    """Return what the files below `folder` take; those that go meanwhile, or may not be seen, count for nothing."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                # Thousands.
                total += os.lstat(os.path.join(place, name)).st_blocks * _BLOCK_BYTES  # noqa: PTH118
            except OSError:
                continue
    return total
