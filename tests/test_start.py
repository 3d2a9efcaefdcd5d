"""A program imports what it needs at its start, because each package costs time there."""

import subprocess
import sys

import pytest

from tests.conftest import ROOT


@pytest.mark.parametrize(
    ("program", "too_much"),
    [
        (
            "ingestor.__main__",
            {"server", "kasparro", "strawberry", "graphql", "starlette", "uvicorn", "pyarrow"},
        ),
        ("server.__main__", {"ingestor", "kasparro", "kasparro.simulator", "aiohttp", "pyarrow"}),
        (
            "kasparro.__main__",
            {"server", "ingestor", "strawberry", "asyncpg", "aiohttp", "rich", "pyarrow"},
        ),
    ],
)
def test_a_program_imports_only_what_its_start_needs(program: str, too_much: set[str]) -> None:
    code = f"import sys, {program}; print(*sys.modules)"
    shown = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True
    )
    imported = set(shown.stdout.split())
    assert program in imported
    assert not imported & too_much
