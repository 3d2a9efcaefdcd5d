"""After an upgrade the coins of an earlier version get their assets, beside the polls."""

import pytest

from ingestor.run import upgrade
from ingestor.run.run import run
from ingestor.run.upgrade import log_step, merge_earlier_coins
from tests.ingestor.conftest import Ingest

COINS = """
SELECT ticker, asset, confidence, is_suspect, excluded::text, price_usd
FROM normalized_records
ORDER BY 1
"""
FORGET = "UPDATE normalized_records SET asset = NULL, confidence = NULL WHERE ticker > $1"


async def read(ingest: Ingest) -> None:
    for name in ("coinpaprika", "coingecko"):
        finished = await run(ingest.pool, ingest.sources[name], timeout_seconds=60)
        assert finished is not None
        assert finished.status == "success"


async def test_the_coins_of_an_earlier_version_get_their_assets_in_chunks(
    ingest: Ingest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upgrade, "CHUNK_TICKERS", 100)
    await read(ingest)
    right = await ingest.rows(COINS)
    assert all(asset is not None for _, asset, *_ in right)
    async with ingest.pool.acquire() as connection:
        await connection.execute(FORGET, "")
        await connection.execute("UPDATE listings SET asset = NULL")
    await merge_earlier_coins(ingest.pool, log_step)
    assert await ingest.rows(COINS) == right
    events = "SELECT count(*) FROM events WHERE kind = 'coins_changed'"
    before = await ingest.value(events)
    await merge_earlier_coins(ingest.pool, log_step)
    assert await ingest.value(events) == before, "a second start has nothing to do"


async def test_a_restart_goes_on_where_it_ended(ingest: Ingest) -> None:
    await read(ingest)
    right = await ingest.rows(COINS)
    middle = right[len(right) // 2][0]
    async with ingest.pool.acquire() as connection:
        await connection.execute(FORGET, middle)
        newest = await connection.fetchval("SELECT max(seq) FROM events")
    await merge_earlier_coins(ingest.pool, log_step)
    assert await ingest.rows(COINS) == right
    changed = await ingest.value(
        "SELECT min(t) FROM events, unnest(tickers) AS t WHERE seq > $1", newest
    )
    assert isinstance(changed, str)
    assert changed > str(middle), "what was done before is not done again"
