"""docs/FILES.md is correct: its examples run, and its tables match the program."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ingestor.sources.files.columns import ROLES
from ingestor.sources.files.mapping import Mapping
from ingestor.sources.files.paths import SUFFIXES
from tests.kasparro.command_line import ROOT, run_in

TEXT = (ROOT / "docs" / "FILES.md").read_text(encoding="utf-8")
BLOCK = re.compile(
    r"^```(?P<kind>\w+)(?: (?P<name>\S+))?\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL
)
COMMAND = re.compile(r"\$ kasparro (check .+)")
WRITTEN_AT = 1_769_853_600  # 2026-01-31T10:00:00Z


@dataclass
class Example:
    """Files, the command that reads them, and what it prints."""

    files: dict[str, str] = field(default_factory=dict)
    command: str = ""
    output: str = ""


def examples() -> Iterator[Example]:
    example = Example()
    for block in BLOCK.finditer(TEXT):
        if block["kind"] != "console":
            example.files[block["name"]] = block["body"]
            continue
        first, _, example.output = block["body"].partition("\n")
        match = COMMAND.fullmatch(first)
        assert match, first
        example.command = match[1]
        yield example
        example = Example()
    assert not example.files, "files that no command reads"


@pytest.mark.parametrize(
    "example", list(examples()), ids=lambda example: example.command.removeprefix("check ")
)
def test_an_example_prints_what_the_page_shows(example: Example, tmp_path: Path) -> None:
    for name, content in example.files.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
        os.utime(tmp_path / name, (WRITTEN_AT, WRITTEN_AT))
    done = run_in(tmp_path, *example.command.split(), KASPARRO_HOME=str(tmp_path / "home"))
    assert done.stderr == ""
    assert done.stdout == example.output


def test_there_are_examples() -> None:
    assert len(list(examples())) >= 10


def rows_of_table(heading: str) -> dict[str, str]:
    """Return the rows of the first table below a heading, their second cell by their first."""
    part = TEXT.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in part.splitlines() if line.startswith("|")][2:]
    cells = [re.split(r"(?<!\\)\|", line.strip("|")) for line in lines]
    return {first.strip(): second.strip() for first, second in cells}


def test_the_table_of_headers_is_the_programs() -> None:
    named = {
        role.strip("`"): tuple(re.findall(r"`(\w+)`", keys))
        for role, keys in rows_of_table("Headers").items()
    }
    assert named == ROLES


def test_every_key_of_the_mapping_file_is_described() -> None:
    keys = {key for keys in rows_of_table("csv.toml") for key in re.findall(r"`(\w+)`", keys)}
    assert keys == set(Mapping.__struct_fields__)


def test_every_name_that_a_folder_is_read_for_is_listed() -> None:
    part = TEXT.split("A folder is read", 1)[1].split("```", 1)[0]
    assert all(f"`{suffix}`" in part for suffix in SUFFIXES)
