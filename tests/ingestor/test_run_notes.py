"""Notes of runs: once for a file, repeated without a change, removed with their cause."""

import json
import os
from collections.abc import AsyncGenerator
from pathlib import Path

import msgspec
import pytest
import structlog

from db.notes import MAX_NOTES, MAX_TEXT, Note, decode_notes, merge_notes
from db.write.runs import FinishedRun
from ingestor.clock import utc_now
from ingestor.sources.records import Page
from tests.ingestor.conftest import Ingest

DATED = "time", "No column holds a time: rows are dated by the file", 1
COLOUR = "columns", "Columns that are not read: colour", 1
CAP = "$.market_cap_usd"


def said(run: FinishedRun) -> list[tuple[str, str, int]]:
    notes = decode_notes(run.notes)
    assert run.note_count == sum(note.count for note in notes)
    return [(note.about, note.text, note.count) for note in notes]


def write(path: Path, rows: int, caps: str = "7", columns: str = "colour") -> None:
    lines = [f"T{number},Token {number},{number + 1}.5,{caps},red" for number in range(rows)]
    header = f"symbol,name,price_usd,market_cap_usd,{columns}"
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")


async def test_a_file_of_several_slices_is_noted_once(ingest: Ingest) -> None:
    write(ingest.csv_path, 25, caps="much")
    run = await ingest.run("csv")
    assert (run.status, run.pages, run.failed) == ("success", 3, 0)
    assert {about: count for about, _, count in said(run)} == {"time": 1, "columns": 1, CAP: 25}
    assert COLOUR in said(run)


async def test_what_the_head_of_a_file_shows_is_noted_with_its_first_page(ingest: Ingest) -> None:
    write(ingest.csv_path, 25)
    ingest.csv_path.write_text(
        ingest.csv_path.read_text(encoding="utf-8").rstrip("\n"), encoding="utf-8"
    )
    os.utime(ingest.csv_path, (1.7e9, 1.7e9))  # else it may still be written
    pages = [page async for page in ingest.sources["csv"].pages(None, full=False)]
    assert [[note.about for note in page.notes] for page in pages] == [
        ["time", "columns"],
        [],
        ["last line"],
    ]


async def test_while_nothing_changes_the_notes_are_repeated(ingest: Ingest) -> None:
    write(ingest.csv_path, 3)
    first = await ingest.run("csv")
    assert said(first) == [DATED, COLOUR]
    for _ in range(2):
        again = await ingest.run("csv")
        assert (again.pages, again.message) == (0, "csv has not changed since its last run.")
        assert said(again) == said(first)
    event = await ingest.value(
        "SELECT run FROM events WHERE kind = 'run_finished' ORDER BY seq DESC LIMIT 1"
    )
    assert isinstance(event, msgspec.Raw)
    assert [note["text"] for note in json.loads(bytes(event))["notes"]] == [DATED[1], COLOUR[1]]


@pytest.mark.parametrize("status", ["abandoned", "failure"])
async def test_a_run_that_did_not_end_well_but_read_a_page_is_repeated(
    ingest: Ingest, status: str
) -> None:
    write(ingest.csv_path, 3)
    first = await ingest.run("csv")
    # It was killed after its last page.
    await ingest.value("UPDATE etl_runs SET status = $1, message = 'ended' RETURNING id", status)
    assert said(await ingest.run("csv")) == said(first) != []


async def test_a_failure_between_hides_no_notes(ingest: Ingest) -> None:
    write(ingest.csv_path, 3)
    await ingest.run("csv")
    away = ingest.csv_path.rename(ingest.csv_path.with_suffix(".away"))
    failed = await ingest.run("csv")
    assert (failed.status, said(failed)) == ("failure", [])
    away.rename(ingest.csv_path)
    assert said(await ingest.run("csv")) == [DATED, COLOUR]


async def test_the_notes_of_another_source_are_not_repeated(ingest: Ingest) -> None:
    write(ingest.csv_path, 3)
    await ingest.run("coinpaprika")
    await ingest.run("csv")
    assert said(await ingest.run("coinpaprika")) == []


async def test_notes_go_with_their_cause(ingest: Ingest) -> None:
    write(ingest.csv_path, 3)
    assert COLOUR in said(await ingest.run("csv"))
    write(ingest.csv_path, 3, columns="rank")
    for _ in range(2):
        assert COLOUR not in said(await ingest.run("csv"))


async def test_a_text_that_postgresql_cannot_hold_is_noted_without_its_character(
    ingest: Ingest,
) -> None:
    async def pages(*_: object, **__: object) -> AsyncGenerator[Page, None]:
        note = Note("columns", "Columns that are not read: a\0b\udc00", 1)
        yield Page("", 0, utc_now(), [], [], None, ends_group=True, notes=(note,))

    source = ingest.sources["csv"]
    source.pages = pages  # type: ignore[method-assign]  # what a plug-in may yield
    assert said(await ingest.run("csv")) == [
        (
            "columns",
            "Columns that are not read: a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}",
            1,
        )
    ]


async def test_the_log_says_how_many_notes_a_run_has(ingest: Ingest) -> None:
    write(ingest.csv_path, 25, caps="much")
    with structlog.testing.capture_logs() as lines:
        await ingest.run("csv")
    [ended] = [line for line in lines if line["event"] == "run.finished"]
    assert ended["notes"] == 27


def test_notes_about_one_thing_are_one_and_bounded() -> None:
    notes = [
        Note("a", "first", 2),
        Note("b", "x" * (MAX_TEXT + 1)),
        Note("a", "second", 3),
        Note("c", "\ud800"),
    ]
    shortened = "x" * (MAX_TEXT - 1) + "…"
    assert merge_notes(notes) == [
        Note("a", "first", 5),
        Note("b", shortened),
        Note("c", "\N{REPLACEMENT CHARACTER}"),
    ]
    assert merge_notes(merge_notes(notes)) == merge_notes(notes)
    many = merge_notes(Note(str(number), "text", 2) for number in range(MAX_NOTES + 10))
    assert len(many) == MAX_NOTES + 1
    assert (many[-1].about, many[-1].count) == ("more", 20)
