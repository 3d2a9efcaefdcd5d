"""The report of a file: saved with the last page of each reading, gone with its file."""

from collections.abc import AsyncGenerator
from pathlib import Path

import msgspec
import pytest

from db.connect.pool import Pool
from db.source_files import MAX_FILES, SourceFileRow, files_of_sources
from db.sources import SourceSettings, save_sources
from ingestor.run.run import run
from ingestor.sources.files.source import CsvFiles
from ingestor.sources.records import Checkpoint, Page

HEADER = "symbol,price,market_cap,date\n"


async def read(pool: Pool, source: CsvFiles) -> str:
    finished = await run(pool, source, timeout_seconds=60)
    assert finished is not None
    return finished.status


async def reports(pool: Pool) -> dict[str, SourceFileRow]:
    async with pool.acquire() as connection:
        found = await files_of_sources(connection, ["csv"])
    return {file.name: file for file in found.get("csv", [])}


@pytest.fixture
async def source(pool: Pool, tmp_path: Path) -> CsvFiles:
    source = CsvFiles(str(tmp_path), rows_a_page=3)
    async with pool.acquire() as connection:
        await save_sources(
            connection,
            [SourceSettings(source.name, source.kind, source.priority, source.poll_seconds)],
        )
    return source


def rows(count: int, cap: str = "5", price: str = "1") -> str:
    return "".join(f"T{number},{price},{cap},2026-01-01\n" for number in range(count))


async def test_all_pages_of_a_file_count_and_the_first_one_gives_the_first_rows(
    pool: Pool, source: CsvFiles, tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_text(
        HEADER + rows(7, cap="lots") + "X,zz,1,2026-01-01\nY,zz,1,2026-01-01\n"
    )
    assert await read(pool, source) == "partial"
    report = (await reports(pool))["a.csv"]
    assert (report.rows, report.rejected) == (9, 2)
    assert [listing.ticker for listing in report.first_listings] == ["T0", "T1", "T2"]
    assert {note.text: note.count for note in report.notes} == {
        "'lots' is not a number - at `$.market_cap`": 7
    }


async def test_an_interrupted_reading_leaves_the_report_before_and_the_next_run_completes_it(
    pool: Pool, source: CsvFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.csv"
    path.write_text(HEADER + rows(2))
    await read(pool, source)
    path.write_text(HEADER + "X,zz,1,2026-01-01\n" + rows(7, price="2"))
    ordinary = CsvFiles.pages

    async def interrupted(
        self: CsvFiles, checkpoint: Checkpoint | None, *, full: bool
    ) -> AsyncGenerator[Page, None]:
        count = 0
        async for page in ordinary(self, checkpoint, full=full):
            yield page
            count += 1
            if count == 2:
                return

    with monkeypatch.context() as patched:
        patched.setattr(CsvFiles, "pages", interrupted)
        await read(pool, source)
    assert [(report.rows, report.rejected) for report in (await reports(pool)).values()] == [(2, 0)]
    await read(pool, source)
    [report] = (await reports(pool)).values()
    assert (report.rows, report.rejected) == (8, 1)
    assert [listing.ticker for listing in report.first_listings] == ["T0", "T1"]
    async with pool.acquire() as connection:
        assert await connection.fetchval("SELECT reading FROM source_files") is None


async def test_a_file_that_is_gone_has_no_report_and_one_that_cannot_be_read_keeps_its_last(
    pool: Pool, source: CsvFiles, tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_text(HEADER + rows(1))
    (tmp_path / "b.csv").write_text(HEADER + rows(2))
    await read(pool, source)
    assert set(await reports(pool)) == {"a.csv", "b.csv"}
    (tmp_path / "a.csv").unlink()
    await read(pool, source)
    assert set(await reports(pool)) == {"b.csv"}
    (tmp_path / "b.csv").write_text("<html></html>")
    assert await read(pool, source) == "failure"
    assert [report.rows for report in (await reports(pool)).values()] == [2]


async def test_the_reports_of_the_files_read_last_are_kept(
    pool: Pool, source: CsvFiles, tmp_path: Path
) -> None:
    for number in range(MAX_FILES + 3):
        (tmp_path / f"{number:03}.csv").write_text(HEADER + rows(1))
    await read(pool, source)
    assert set(await reports(pool)) == {f"{number:03}.csv" for number in range(3, MAX_FILES + 3)}


async def test_a_header_of_any_text_and_length_is_kept_in_bounds(
    pool: Pool, source: CsvFiles, tmp_path: Path
) -> None:
    headers = {f"{'long ' * 100}{number}": number for number in range(60)}
    objects = [
        {"symbol": "BTC", "price": 1, "date": "2026-01-01", **headers},
        {"symbol": "X", "price": 1, "a\0b": 1},
    ]
    (tmp_path / "a.json").write_bytes(msgspec.json.encode([*objects, {"symbol": "Y", "price": 2}]))
    assert await read(pool, source) == "partial"
    [report] = (await reports(pool)).values()
    assert report.unread_count == 60
    assert len(report.unread_headers) == 50
    assert len(msgspec.json.encode(report)) < 16_000
