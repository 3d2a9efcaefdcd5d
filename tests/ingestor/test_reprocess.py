"""After a fix of `to_listing`, a rebuild gives the state of a correct reading from the start."""

import asyncio
from datetime import UTC, datetime, timedelta

import anyio
import msgspec
import pytest

from db.read.sources import all_sources
from db.reprocess.job import try_lock, unlock
from ingestor.reprocess import ReprocessBusyError
from ingestor.reprocess.runs import abandon_if_killed
from tests.ingestor.conftest import Ingest
from tests.ingestor.reprocess_rows import (
    again,
    contents,
    ingest_again,
    misread,
    read_ticks,
    row_versions,
    unexplained,
    write_dated_file,
)
from tests.ingestor.stored_bodies import PAYLOADS


async def test_without_a_fix_no_row_is_written(ingest: Ingest) -> None:
    write_dated_file(ingest)
    await read_ticks(ingest, ingest.sources, 8)
    before = await row_versions(ingest)
    assert len(before["price_points"]) > 3000
    report = await again(ingest)
    assert report.changes == []
    assert [(s.processed > 0, s.failed, s.changed) for s in report.sources] == [(True, 0, 0)] * 3
    assert await row_versions(ingest) == before


async def test_after_a_fix_all_is_as_if_it_had_been_read_rightly_from_the_start(
    ingest: Ingest,
) -> None:
    write_dated_file(ingest)
    await read_ticks(ingest, misread(ingest), 6)
    wrong = await contents(ingest)
    assert (await unexplained(ingest))[0]
    await again(ingest)
    assert await unexplained(ingest) == ([], [])
    rebuilt = await contents(ingest)
    assert (await again(ingest)).changes == []
    await ingest_again(ingest)
    right = await contents(ingest)
    for table, rows in right.items():
        assert rebuilt[table] == rows, table
        assert wrong[table] != rows
        assert len(rows) > 500


async def test_one_source_alone_is_rebuilt_and_the_history_that_it_shares(ingest: Ingest) -> None:
    write_dated_file(ingest)
    await read_ticks(ingest, misread(ingest, ["coingecko"]), 6)
    report = await again(ingest, "coingecko")
    assert [source.source for source in report.sources] == ["coingecko"]
    rebuilt = await contents(ingest)
    await ingest_again(ingest)
    right = await contents(ingest)
    for table, rows in right.items():
        assert rebuilt[table] == rows, table


async def test_since_leaves_what_older_payloads_said(ingest: Ingest) -> None:
    await read_ticks(ingest, misread(ingest), 3)
    since = datetime.now(UTC)
    older = await contents(ingest)
    await read_ticks(ingest, misread(ingest), 3)
    report = await again(ingest, since=since)
    fresh = await ingest.value(f"{PAYLOADS} WHERE arrived_at >= $1", since)
    assert sum(source.processed for source in report.sources) == fresh
    points = set((await contents(ingest))["points"])
    kept = [point for point in older["points"] if point in points]
    assert len(kept) > len(older["points"]) * 0.9
    wrong = "SELECT count(*) FROM listings WHERE fetched_at {} $1 AND name LIKE '% COIN'"
    assert await ingest.value(wrong.format(">="), since) == 0
    assert await ingest.value(wrong.format("<"), since) != 0


async def test_a_dry_run_tells_what_a_real_one_does_and_leaves_nothing(ingest: Ingest) -> None:
    write_dated_file(ingest)
    await read_ticks(ingest, misread(ingest), 3)
    before = await row_versions(ingest), await ingest.rows("SELECT * FROM etl_runs ORDER BY id")
    would = await again(ingest, dry_run=True)
    assert (
        await row_versions(ingest),
        await ingest.rows("SELECT * FROM etl_runs ORDER BY id"),
    ) == before
    for scratch in await ingest.rows(
        "SELECT relname FROM pg_class WHERE relname LIKE 'reprocess%' AND relkind = 'r'"
    ):
        assert await ingest.value(f"SELECT count(*) FROM {scratch[0]}") == 0
    did = await again(ingest)
    assert would.changes == did.changes
    assert would.sources == did.sources
    assert {change.table for change in did.changes} == {
        "listings",
        "normalized_records",
        "price_points",
        "candles",
    }
    sample = next(
        change for change in did.changes if (change.table, change.field) == ("listings", "name")
    ).samples[0]
    assert sample.old == f"{sample.new} COIN".upper()


async def test_rejected_records_are_tried_again(ingest: Ingest) -> None:
    await read_ticks(ingest, misread(ingest, ["coinpaprika"], refuse="a"), 3)
    rejected = await ingest.value("SELECT count(*) FROM rejected_records")
    assert (
        await ingest.value(
            "SELECT count(*) FROM listings WHERE external_id LIKE '%a%' AND source = 'coinpaprika'"
        )
        == 0
    )
    report = await again(ingest)
    assert await ingest.value("SELECT count(*) FROM rejected_records") == 0
    assert (
        sum(
            c.rows
            for c in report.changes
            if (c.table, c.field) == ("rejected_records", "(removed)")
        )
        == rejected
    )
    assert await ingest.value(
        "SELECT count(*) FROM listings AS l WHERE source = 'coinpaprika' AND external_id LIKE "
        "'%a%' AND active "
        "AND EXISTS (SELECT FROM raw_api_records AS r WHERE (r.source, r.external_id, "
        "r.content_hash) "
        "= (l.source, l.external_id, l.content_hash))"
    )  # fmt: skip
    rebuilt = await contents(ingest)
    assert (await again(ingest)).changes == []
    await ingest_again(ingest)
    right = await contents(ingest)
    assert rebuilt["listings"] == right["listings"]
    assert rebuilt["coins"] == right["coins"]


async def test_a_record_that_its_source_no_longer_sends_comes_back_inactive(ingest: Ingest) -> None:
    wrong = misread(ingest, ["csv"], refuse="gone")
    ingest.csv_path.write_text(
        "id,symbol,name,price,market_cap\ngone,GONE,Gone,1,2\nhere,HERE,Here,1,2\n"
    )
    await read_ticks(ingest, {"csv": wrong["csv"]}, 1)
    ingest.csv_path.write_text("id,symbol,name,price,market_cap\nhere,HERE,Here,1,2\n")
    await read_ticks(ingest, {"csv": wrong["csv"]}, 1)
    await again(ingest)
    assert await ingest.rows("SELECT external_id, active, ticker FROM listings ORDER BY 1") == [
        ("gone", False, "GONE"),
        ("here", True, "HERE"),
    ]


async def test_payloads_that_can_no_longer_be_read_are_rejected_once_and_come_back(
    ingest: Ingest,
) -> None:
    await read_ticks(ingest, ingest.sources, 2)
    listings = await ingest.value(
        "SELECT count(*) FROM listings WHERE source = 'coingecko' AND external_id LIKE '%a%'"
    )
    for _ in range(2):
        report = await again(ingest, sources=misread(ingest, ["coingecko"], refuse="a"))
        failed = sum(source.failed for source in report.sources)
        assert failed >= listings  # type: ignore[operator]  # a count
        assert await ingest.value("SELECT count(*) FROM rejected_records") == listings
        assert {run.status for run in report.runs if run.source == "coingecko"} == {"partial"}
    await again(ingest)
    assert await ingest.value("SELECT count(*) FROM rejected_records") == 0
    rebuilt = await contents(ingest)
    await ingest_again(ingest)
    assert rebuilt["listings"] == (await contents(ingest))["listings"]


async def test_what_is_ingested_meanwhile_is_not_lost(ingest: Ingest) -> None:
    await read_ticks(ingest, misread(ingest), 4)
    async with anyio.create_task_group() as group:
        group.start_soon(read_ticks, ingest, ingest.sources, 6)
        reports = [await again(ingest), await again(ingest)]
    assert reports[0].changes
    await again(ingest)
    rebuilt = await contents(ingest)
    assert (await again(ingest)).changes == []
    await ingest_again(ingest)
    right = await contents(ingest)
    for table in ("listings", "coins"):
        assert rebuilt[table] == right[table], table
    assert (await unexplained(ingest))[1] == []
    # While one source's listing was wrong, a true price of another may have made a point: it stays.
    points = {row[:3] for row in rebuilt["points"]}
    assert {row[:3] for row in right["points"]} <= points
    assert len(points) < 1.01 * len(right["points"])


async def test_readers_see_all_of_it_or_nothing(ingest: Ingest) -> None:
    await read_ticks(ingest, misread(ingest), 2)
    states: set[tuple[object, ...]] = set()
    look = (
        "SELECT (SELECT count(*) FROM listings WHERE name LIKE '% COIN'), "
        "(SELECT count(*) FROM normalized_records WHERE name LIKE '% COIN'), "
        "(SELECT sum(price_usd) FROM price_points), (SELECT sum(close) FROM candles)"
    )
    states.update(await ingest.rows(look))
    task = asyncio.create_task(again(ingest))
    while not task.done():
        states.update(await ingest.rows(look))
        await asyncio.sleep(0)
    states.update(await ingest.rows(look))
    assert task.result().changes
    assert len(states) == 2


async def test_only_one_at_a_time(ingest: Ingest) -> None:
    async with ingest.pool.acquire() as connection:
        assert await try_lock(connection)
        with pytest.raises(ReprocessBusyError):
            await again(ingest)
        await unlock(connection)
    await again(ingest)


async def test_its_runs_are_seen_and_leave_the_sources_health_and_ingest_alone(
    ingest: Ingest,
) -> None:
    await read_ticks(ingest, misread(ingest), 1)
    async with ingest.pool.acquire() as connection:
        health = [(source.name, source.health) for source in await all_sources(connection)]
    changed = "SELECT count(*) FROM events WHERE kind = 'coins_changed'"
    before = await ingest.value(changed)
    report = await again(ingest, "coingecko", "coinpaprika")
    assert [(run.source, run.status, run.changed > 0) for run in report.runs] == [
        ("coingecko", "success", True),
        ("coinpaprika", "success", True),
    ]
    kinds = await ingest.pairs(
        "SELECT kind, count(*) FROM events WHERE (run ->> 'id')::bigint = ANY ($1) GROUP BY kind "
        "ORDER BY kind",
        [run.id for run in report.runs],
    )
    assert kinds == [("run_finished", 2), ("run_started", 2)]
    assert await ingest.value(changed) == before + 1  # type: ignore[operator]  # a count
    async with ingest.pool.acquire() as connection:
        assert [(source.name, source.health) for source in await all_sources(connection)] == health


async def test_what_has_no_body_any_more_is_read_from_the_newest_payloads(ingest: Ingest) -> None:
    await read_ticks(ingest, misread(ingest), 2)
    before = await ingest.value("SELECT count(*) FROM listings WHERE name LIKE '% COIN'")
    await ingest.value("TRUNCATE bodies")
    report = await again(ingest)
    assert sum(source.processed for source in report.sources) == await ingest.value(
        "SELECT count(*) FROM listings"
    )
    assert before
    assert await ingest.value("SELECT count(*) FROM listings WHERE name LIKE '% COIN'") == 0
    assert (await again(ingest)).changes == []
    # A payload without a body that cannot be read becomes a rejected record with its bytes.
    report = await again(ingest, sources=misread(ingest, ["csv"], refuse="1"))
    refused = await ingest.rows(
        "SELECT external_id, payload, body FROM rejected_records WHERE source = 'csv'"
    )
    assert refused
    for external_id, payload, body in refused:
        assert isinstance(payload, bytes)
        assert body is None
        assert msgspec.json.decode(payload)["id"] == external_id


async def test_a_stopped_one_is_marked_and_gone_on_with(
    ingest: Ingest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingestor.reprocess.reading.BATCH", 50)
    await read_ticks(ingest, misread(ingest), 2)

    def stop(_: str, done: int, __: int) -> None:
        if done > 200:
            task.cancel()

    task = asyncio.create_task(again(ingest, on_progress=stop))
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (
        await ingest.value(
            "SELECT count(*) FROM etl_runs WHERE status = 'abandoned' AND kind = 'reprocess'"
        )
        == 3
    )
    read = await ingest.value("SELECT sum(processed) FROM reprocess_progress")
    assert read
    report = await again(ingest)
    assert report.resumed
    payloads = await ingest.value(PAYLOADS)
    assert sum(source.processed for source in report.sources) == payloads
    assert sum(run.processed for run in report.runs) == payloads


async def test_a_dead_ones_run_is_closed_when_an_ingestor_starts(ingest: Ingest) -> None:
    run_id = await ingest.value(
        "INSERT INTO etl_runs (source, kind, started_at) VALUES ('csv', 'reprocess', $1) "
        "RETURNING id",
        datetime.now(UTC) - timedelta(minutes=1),
    )
    await ingest.run("coingecko")
    assert await ingest.value("SELECT status FROM etl_runs WHERE id = $1", run_id) == "running"
    await abandon_if_killed(ingest.pool)
    assert await ingest.value("SELECT status FROM etl_runs WHERE id = $1", run_id) == "abandoned"
