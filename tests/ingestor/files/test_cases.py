"""Every small file through the front door: a run, and what then stands in the database."""

from decimal import Decimal
from pathlib import Path

import pytest

from db.connect.pool import Pool
from db.sources import SourceSettings, save_sources
from ingestor.run.run import run
from ingestor.sources.files.source import CsvFiles
from tests.ingestor.files.cases import CASES, Case

NUMBERS = {
    "price": "price_usd",
    "cap": "market_cap_usd",
    "volume": "volume_24h_usd",
    "change": "percent_change_24h",
    "supply": "circulating_supply",
    "rank": "rank",
}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)
async def test_a_file_says_what_was_put_in(case: Case, pool: Pool, tmp_path: Path) -> None:
    (tmp_path / case.name).write_bytes(case.content)
    if case.mapping is not None:
        (tmp_path / "csv.toml").write_text(case.mapping, encoding="utf-8")
    source = CsvFiles(str(tmp_path))
    async with pool.acquire() as connection:
        await save_sources(
            connection,
            [SourceSettings(source.name, source.kind, source.priority, source.poll_seconds)],
        )
    finished = await run(pool, source, timeout_seconds=60)
    assert finished is not None
    async with pool.acquire() as connection:
        listings = {row["ticker"]: row for row in await connection.fetch("SELECT * FROM listings")}
        rejected = [
            row["error"]
            for row in await connection.fetch("SELECT error FROM rejected_records ORDER BY id")
        ]
        notes = [
            row["text"]
            for row in await connection.fetch(
                "SELECT n.value ->> 'text' AS text FROM etl_runs, jsonb_array_elements(notes) AS n"
            )
        ]
    if case.failure is not None:
        assert finished.status == "failure"
        assert case.failure in (finished.message or "")
        return
    assert finished.message is None
    assert set(listings) == set(case.rows)
    for ticker, fields in case.rows.items():
        for name, value in fields.items():
            assert _said(dict(listings[ticker]), name) == _wanted(name, value), (ticker, name)
    assert len(rejected) == len(case.rejected)
    for wanted in case.rejected:
        assert any(wanted in error for error in rejected), rejected
    for wanted in case.notes:
        assert any(wanted in note for note in notes), notes


def _said(row: dict[str, object], name: str) -> object:
    if name == "time":
        return row["observed_at"].isoformat()  # type: ignore[attr-defined]  # a datetime
    if name == "id":
        return row["external_id"]
    return row[NUMBERS.get(name, name)]


def _wanted(name: str, value: str | None) -> object:
    return Decimal(value) if name in NUMBERS and value is not None else value
