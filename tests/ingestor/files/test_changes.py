"""Files that change between runs: cut short, emptied, corrected, still being written."""

import os
import time
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from db.connect.pool import Pool
from db.notes import decode_notes
from db.sources import SourceSettings, save_sources
from ingestor.run.run import run
from ingestor.sources.files.source import CsvFiles
from ingestor.sources.records import Checkpoint, Page

HEADER = "symbol,price,date\n"
LONG_AGO = time.time() - 86_400


class Files:
    """One file, a source that reads it, and what is said of it."""

    def __init__(self, pool: Pool, path: Path) -> None:
        self._pool = pool
        self.path = path
        self.source = CsvFiles(str(path.parent), rows_a_page=3)

    def write(self, text: str, *, modified: float = LONG_AGO) -> None:
        self.path.write_text(text, encoding="utf-8")
        os.utime(self.path, (modified, modified))

    async def read(self, *, full: bool = False) -> str:
        """Run, and return all notes and the message in one text."""
        finished = await run(self._pool, self.source, timeout_seconds=60, full=full)
        assert finished is not None
        async with self._pool.acquire() as connection:
            notes = decode_notes(
                await connection.fetchval("SELECT notes FROM etl_runs ORDER BY id DESC LIMIT 1")
            )
        # The days here are older than history.
        texts = [note.text for note in notes if note.about != "retention"]
        return "; ".join([*texts, *([finished.message] if finished.message else [])])

    async def prices(self) -> dict[str, str]:
        async with self._pool.acquire() as connection:
            rows = await connection.fetch(
                "SELECT ticker, price_usd::text FROM listings WHERE active ORDER BY ticker"
            )
        return {row["ticker"]: row["price_usd"] for row in rows}


@pytest.fixture
async def files(pool: Pool, tmp_path: Path) -> Files:
    files = Files(pool, tmp_path / "prices.csv")
    source = files.source
    async with pool.acquire() as connection:
        await save_sources(
            connection,
            [SourceSettings(source.name, source.kind, source.priority, source.poll_seconds)],
        )
    return files


async def test_a_last_line_that_is_being_written_waits_for_its_end(files: Files) -> None:
    files.write(HEADER + "BTC,1,2026-01-01\nETH,2", modified=time.time())
    assert "it is still being written: that line waits" in await files.read()
    assert await files.prices() == {"BTC": "1"}
    files.write(HEADER + "BTC,1,2026-01-01\nETH,25,2026-01-01\n", modified=time.time())
    assert await files.read() == ""
    assert await files.prices() == {"BTC": "1", "ETH": "25"}


async def test_a_last_line_without_an_end_is_read_and_noted_once_the_file_rests(
    files: Files,
) -> None:
    files.write(HEADER + "BTC,1,2026-01-01\nETH,2,2026-01-01")
    assert "The last line has no line end" in await files.read()
    assert await files.prices() == {"BTC": "1", "ETH": "2"}


@pytest.mark.parametrize("before", [1, 2, 7])
async def test_a_header_without_rows_ends_nothing_and_says_so(files: Files, before: int) -> None:
    files.write(HEADER + "".join(f"T{number},1,2026-01-01\n" for number in range(before)))
    await files.read()
    held = await files.prices()
    assert len(held) == before
    files.write(HEADER)
    assert "prices.csv has 0 rows, it had" in await files.read()
    assert await files.prices() == held
    assert "prices.csv has 0 rows, it had" in await files.read()
    await files.read(full=True)
    assert await files.prices() == {}


async def test_a_header_without_rows_that_never_had_some_says_so(files: Files) -> None:
    files.write(HEADER)
    assert "The file has a header and no rows" in await files.read()


async def test_a_file_that_lost_most_of_its_rows_ends_nothing_and_its_rows_are_read(
    files: Files,
) -> None:
    files.write(HEADER + "".join(f"T{number},1,2026-01-01\n" for number in range(7)))
    await files.read()
    files.write(HEADER + "".join(f"T{number},2,2026-01-02\n" for number in range(3)))
    assert "prices.csv has 3 rows, it had 7: nothing that is missing ends" in await files.read()
    assert await files.prices() == {f"T{number}": "2" if number < 3 else "1" for number in range(7)}
    await files.read(full=True)
    assert set(await files.prices()) == {"T0", "T1", "T2"}


async def test_a_file_that_lost_one_of_many_rows_ends_it(files: Files) -> None:
    files.write(HEADER + "".join(f"T{number},1,2026-01-01\n" for number in range(20)))
    await files.read()
    files.write(HEADER + "".join(f"T{number},1,2026-01-01\n" for number in range(19)))
    assert await files.read() == ""
    assert set(await files.prices()) == {f"T{number}" for number in range(19)}


@pytest.mark.parametrize("hours", [0, -24, 1])
async def test_a_corrected_file_corrects_whatever_its_modification_time(
    files: Files, hours: int
) -> None:
    files.write(HEADER + "BTC,1,2026-01-01\nETH,2,2026-01-01\n")
    await files.read()
    files.write(HEADER + "BTC,3,2026-01-01\nETH,2,2026-01-01\n", modified=LONG_AGO + hours * 3_600)
    assert await files.read() == ""
    assert await files.prices() == {"BTC": "3", "ETH": "2"}


@pytest.mark.parametrize("hours", [-24, 1])
async def test_a_corrected_file_that_dates_its_rows_corrects_too(files: Files, hours: int) -> None:
    files.write("symbol,price\nBTC,1\nETH,2\n")
    await files.read()
    files.write("symbol,price\nBTC,3\nETH,2\n", modified=LONG_AGO + hours * 3_600)
    assert "rows are dated by the file" in await files.read()
    assert await files.prices() == {"BTC": "3", "ETH": "2"}


async def test_a_slice_of_a_file_that_moved_is_dropped_and_the_next_run_reads_it(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.write(HEADER + "".join(f"T{number},1,2026-01-01\n" for number in range(5)))
    ordinary = CsvFiles.pages

    async def replaced(
        self: CsvFiles, checkpoint: Checkpoint | None, *, full: bool
    ) -> AsyncGenerator[Page, None]:
        async for page in ordinary(self, checkpoint, full=full):
            yield page
            if page.number == 0:
                files.write(HEADER + "".join(f"U{number},9,2026-01-01\n" for number in range(5)))

    with monkeypatch.context() as patched:
        patched.setattr(CsvFiles, "pages", replaced)
        assert "prices.csv changed while it was read" in await files.read()
    assert set(await files.prices()) == {"T0", "T1", "T2"}
    await files.read()
    assert set(await files.prices()) == {f"U{number}" for number in range(5)}
