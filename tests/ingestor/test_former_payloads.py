"""The payloads of an earlier version, one row each, become bodies; the newest stay beside them."""

import datetime
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from db.bodies import cut, find_body, read_index
from db.connect.pool import Pool, connect, create_pool
from db.schema.logins import login_dsn
from db.schema.migrate import MIGRATIONS, migrate
from ingestor.run import upgrade as steps
from ingestor.run.upgrade import log_step, move_former_payloads, upgrade

FIRST = datetime.datetime(2026, 11, 2, 9, 30, tzinfo=datetime.UTC)
POLLS = 6
POLL = datetime.timedelta(minutes=7)
Row = tuple[str, str, datetime.datetime, bytes, object]


def rows() -> list[tuple[str, Row]]:
    """The table and the row of each payload: three listings, of which the polls change two."""
    found: list[tuple[str, Row]] = []
    for poll in range(POLLS):
        at = FIRST + poll * POLL
        for source, external_id, table, every in [
            ("coingecko", "bitcoin", "raw_api_records", 1),
            ("coinpaprika", "btc-bitcoin", "raw_api_records", 2),
            ("csv", "one", "raw_csv_records", POLLS),
        ]:
            if poll % every == 0:
                payload = {"id": external_id, "price": f"{poll}.10"}
                digest = f"{external_id} {poll}".encode()
                found.append((table, (source, external_id, at, digest, payload)))
    return found


@pytest.fixture
async def old_database(empty_database: str, tmp_path: Path) -> str:
    for path in MIGRATIONS.glob("00*.sql"):
        if path.name < "0017":
            shutil.copy(path, tmp_path)
    await migrate(empty_database, tmp_path)
    connection = await connect(empty_database)
    try:
        await connection.execute(
            "CREATE TABLE raw_api_records_20261102 PARTITION OF raw_api_records "
            "FOR VALUES FROM ('2026-11-02 UTC') TO ('2026-11-03 UTC')"
        )
        newest: dict[tuple[str, str], bytes] = {}
        for table, (source, external_id, at, digest, payload) in rows():
            await connection.execute(
                f"INSERT INTO {table} (source, external_id, ingested_at, fetched_at, content_hash, "
                "payload, run_id) VALUES ($1, $2, $3, $3, $4, $5::jsonb, 1)",
                *(source, external_id, at, digest),
                msgspec.Raw(msgspec.json.encode(payload)),
            )
            newest[source, external_id] = digest
        for (source, external_id), digest in newest.items():
            await connection.execute(
                "INSERT INTO listings (source, external_id, ticker, symbol, name_words, "
                "core_words, observed_at, fetched_at, first_seen_at, last_seen_at, content_hash) "
                "VALUES ($1, $2, 'BTC', 'btc', '', '', $3, $3, $3, $3, $4)",
                *(source, external_id, FIRST, digest),
            )
    finally:
        await connection.close()
    await migrate(empty_database)
    return empty_database


@pytest.fixture
async def old(old_database: str) -> AsyncIterator[Pool]:
    """The migrated database, with the rights of an ingestor."""
    dsn = await login_dsn(old_database, "ingestor")
    async with await create_pool(dsn, application_name="test", max_size=2) as opened:
        yield opened


async def in_bodies(pool: Pool) -> list[Row]:
    found: list[Row] = []
    async with pool.acquire() as connection:
        for number, packed in await connection.fetch("SELECT id, records FROM bodies"):
            body = await find_body(connection, number)
            assert body is not None
            assert body.form == "records"
            content = body.unpack()
            for one in read_index(packed):
                raw, digest = cut(content, one)
                assert isinstance(body.arrived_at, datetime.datetime)
                payload = msgspec.json.decode(raw)
                found.append((body.source, one.external_id, body.arrived_at, digest, payload))
    return sorted(found, key=lambda row: row[:3])


WANTED = sorted((row for _, row in rows()), key=lambda row: row[:3])
NEWEST = """
SELECT external_id, payload ->> 'price' FROM (
    TABLE raw_api_records UNION ALL TABLE raw_csv_records
) AS payload
ORDER BY 1
"""


async def test_every_payload_is_in_a_body_and_the_newest_beside_it(old: Pool) -> None:
    async with old.acquire() as connection:
        newest = [tuple(row) for row in await connection.fetch(NEWEST)]
        assert newest == [("bitcoin", "5.10"), ("btc-bitcoin", "4.10"), ("one", "0.10")]
    await upgrade(old, log_step)
    assert await in_bodies(old) == WANTED
    async with old.acquire() as connection:
        assert [tuple(row) for row in await connection.fetch(NEWEST)] == newest
        for table in ("former_raw_api_records", "former_raw_csv_records"):
            assert await connection.fetchval(f"SELECT to_regclass('{table}') IS NULL")
    await upgrade(old, log_step)
    assert await in_bodies(old) == WANTED


async def test_a_restart_moves_the_other_payloads(
    old: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(steps._log, "ainfo", stop)
        with pytest.raises(KeyboardInterrupt):
            await move_former_payloads(old, log_step)
    part = await in_bodies(old)
    assert 0 < len(part) < len(WANTED)
    await move_former_payloads(old, log_step)
    assert await in_bodies(old) == WANTED
