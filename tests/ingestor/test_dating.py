"""A record without a usable time is as old as the newest of its body, not as young as the poll."""

import datetime
import json

import pytest
from aiohttp import web
from pytest_aiohttp import AiohttpServer

from ingestor.clock import utc_now
from ingestor.http.fetch import Fetch
from ingestor.run.run import run
from ingestor.sources.coingecko.source import CoinGecko
from ingestor.sources.coinpaprika import CoinPaprika
from ingestor.sources.decode import split
from ingestor.sources.records import content_hash
from tests.ingestor.conftest import QUICK, START, Ingest, provider
from tests.ingestor.reprocess_rows import again

NEWEST = START - datetime.timedelta(hours=2)
OLDER = START - datetime.timedelta(hours=3)
MISSING = "left out"


def record(name: str, time: object) -> dict[str, object]:
    made: dict[str, object] = {
        "id": name,
        "symbol": name,
        "name": name,
        "current_price": 2,
        "quotes": {"USD": {"price": 2}},
    }
    return made if time == MISSING else {**made, "last_updated": time}


def iso(moment: datetime.datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


@pytest.mark.parametrize("kind", [CoinPaprika, CoinGecko])
async def test_such_a_record_takes_the_newest_time_of_its_body_and_keeps_it_in_a_rebuild(
    ingest: Ingest, aiohttp_server: AiohttpServer, kind: type[CoinPaprika] | type[CoinGecko]
) -> None:
    ahead = utc_now() + datetime.timedelta(days=400)
    body = [
        record("older", iso(OLDER)),
        record("newest", iso(NEWEST)),
        record("missing", MISSING),
        record("null", None),
        record("blank", " "),
        record("ahead", iso(ahead)),
        record("unreadable", "soon"),
    ]

    async def answer(request: web.Request) -> web.Response:
        return web.json_response(body if request.query.get("page", "1") == "1" else [])

    app = web.Application()
    app.router.add_get("/tickers", answer)
    app.router.add_get("/coins/markets", answer)
    url = str((await aiohttp_server(app)).make_url("")).rstrip("/")
    source = kind(Fetch(provider("Provider", url), QUICK))
    ingest.sources = {source.name: source}
    outcome = await run(ingest.pool, source, timeout_seconds=60)
    assert outcome is not None
    assert (outcome.processed, outcome.failed) == (7, 1)
    observed = dict(await ingest.pairs("SELECT external_id, observed_at FROM listings"))
    assert observed == {
        "older": OLDER,
        **dict.fromkeys(("newest", "missing", "null", "blank", "ahead"), NEWEST),
    }
    assert (await again(ingest)).changes == []
    outcome = await run(ingest.pool, source, timeout_seconds=60, full=True)
    assert outcome is not None
    assert (outcome.changed, outcome.unchanged) == (0, 6), "the mark is no part of what is compared"


def test_the_hash_is_that_of_the_bytes_and_a_body_without_any_time_stays_as_it_is() -> None:
    plain, dated = (
        json.dumps(record("a", MISSING)).encode(),
        json.dumps(record("b", iso(NEWEST))).encode(),
    )
    records, _ = split(b"[" + plain + b"," + dated + b"]", "Provider", utc_now())
    assert [found.content_hash for found in records] == [content_hash(plain), content_hash(dated)]
    assert (
        records[0].raw
        == plain[:-1] + f',"@observed_at":"{NEWEST:%Y-%m-%dT%H:%M:%S.%fZ}"}}'.encode()
    )
    assert records[1].raw == dated
    alone, _ = split(b"[" + plain + b"]", "Provider", utc_now())
    assert alone[0].raw == plain


async def test_a_csv_row_of_a_time_to_come_is_rejected_by_its_cell(ingest: Ingest) -> None:
    path = ingest.csv_path.with_name(f"coins-{NEWEST:%Y-%m-%d}.csv")
    path.write_text(
        f"symbol,price,date\nABC,1,{iso(utc_now() + datetime.timedelta(days=2))}\n"
        f"XYZ,1,{iso(OLDER)}\n"
    )
    source = ingest.sources["csv"]
    source._csv_path = str(path)  # type: ignore[attr-defined]
    outcome = await ingest.run("csv")
    assert (outcome.status, outcome.failed) == ("partial", 1)
    assert dict(await ingest.pairs("SELECT ticker, observed_at FROM listings")) == {"XYZ": OLDER}
    assert "$.date" in str(await ingest.value("SELECT error FROM rejected_records"))
