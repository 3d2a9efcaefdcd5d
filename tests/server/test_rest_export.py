"""GET /data?format=…: the records of /data as a complete file, or none."""

import asyncio
import csv
import datetime
import io
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import msgspec
import psutil
import pytest

import server.rest.export
import server.state
from common.csv_injection import unguard
from common.settings import Settings
from db.connect.types import Connection
from server.state import MAX_EXPORTS
from tests.conftest import StartProgram
from tests.server.conftest import NOW, AddCoin, Service, running_service

COLUMNS = [
    "id", "ticker", "name", "price_usd", "market_cap_usd", "volume_24h_usd",
    "percent_change_24h", "rank", "source", "created_at", "ingested_at",
]  # fmt: skip
FORMATS = ["csv", "ndjson", "parquet", "arrow"]
ROWS = 50_000
# More than the buffers of two sockets and a client hold.
FILL = """
INSERT INTO normalized_records (
    ticker, name, price_usd_exact, source, created_at, ingested_at, rival_count, provenance
)
SELECT 'T' || n, 'Coin ' || n || repeat('x', 700), n, 'csv', $2, $2, 0, '[]'
    FROM generate_series(1, $1::integer) AS n
"""
COPYING = (
    "SELECT pid FROM pg_stat_activity WHERE query LIKE 'COPY%' AND state = 'active' AND "
    "datname = current_database()"
)


async def download(service: Service, query: str) -> bytes:
    async with service.client.get(f"/data?{query}") as response:
        assert response.status == 200, await response.text()
        return await response.read()


def rows_of(form: str, body: bytes) -> list[dict[str, Any]]:
    """Return the rows of a file; values are texts or None."""
    if form == "csv":
        return [
            {key: cell or None for key, cell in row.items()}
            for row in csv.DictReader(io.StringIO(body.decode()))
        ]
    if form == "ndjson":
        rows = [
            msgspec.json.Decoder(dict[str, Any], float_hook=str).decode(line)
            for line in body.splitlines()
        ]
        return [
            {key: cell if cell is None else str(cell) for key, cell in row.items()} for row in rows
        ]
    return [
        {column: row.get(f"{column}_exact", row[column]) for column in COLUMNS}
        for row in table_of(form, body).to_pylist()
    ]


def table_of(form: str, body: bytes) -> Any:  # noqa: ANN401 - pyarrow has no types
    pa = pytest.importorskip("pyarrow")
    if form == "parquet":
        return pytest.importorskip("pyarrow.parquet").read_table(pa.BufferReader(body))
    return pa.ipc.open_stream(body).read_all()


# The value of the condition.
async def until(condition: Callable[[], Awaitable[object]]) -> Any:  # noqa: ANN401
    async with asyncio.timeout(20):
        while not (value := await condition()):
            await asyncio.sleep(0.01)
        return value


@pytest.mark.parametrize(
    ("form", "media_type", "suffix"),
    [
        ("csv", "text/csv; charset=utf-8; header=present", "csv"),
        ("ndjson", "application/x-ndjson", "ndjson"),
        ("parquet", "application/vnd.apache.parquet", "parquet"),
        ("arrow", "application/vnd.apache.arrow.stream", "arrows"),
    ],
)
async def test_a_file_says_what_it_is(
    service: Service, add_coin: AddCoin, form: str, media_type: str, suffix: str
) -> None:
    await add_coin("BTC")
    for method in ("GET", "HEAD"):
        async with service.client.request(method, f"/data?format={form}") as response:
            assert response.status == 200
            assert response.headers["Content-Type"] == media_type
            assert re.fullmatch(
                rf'attachment; filename="kasparro-[\dT-]+Z\.{suffix}"',
                response.headers["Content-Disposition"],
            )
            assert re.fullmatch(r"req-[0-9a-f]{12}", response.headers["X-Request-ID"])
            assert bool(await response.read()) == (method == "GET")


async def test_csv_has_the_columns_of_data_and_every_digit(
    service: Service, add_coin: AddCoin
) -> None:
    await add_coin(
        "BTC",
        name='The "big", one',
        price_usd_exact="0.000000000000000004",
        market_cap_usd="1.50",
        rank=1,
        percent_change_24h="-2.5",
    )
    assert (await download(service, "format=csv")).decode() == (
        f"{','.join(COLUMNS)}\n"
        'merged_btc,BTC,"The ""big"", one",0.000000000000000004,1.50,,-2.5,1,coinpaprika,'
        "2026-02-03T20:21:11.25Z,2026-02-03T20:21:12.25Z\n"
    )


async def test_ndjson_is_a_record_of_data_in_each_line(service: Service, add_coin: AddCoin) -> None:
    name = 'a "quoted" \\ back\nslash, \u20bf\x01'
    await add_coin("BTC", name=name, price_usd_exact="0.1234567890123", market_cap_usd="2")
    await add_coin("ETH", market_cap_usd="1")
    lines = (await download(service, "format=ndjson&limit=9")).splitlines()
    records = [msgspec.json.decode(line) for line in lines]
    page = (await service.get("/data"))["data"]
    assert [record["name"] for record in records] == [name, "Eth"]
    for record, known in zip(records, page, strict=True):
        assert list(record) == COLUMNS
        times = ("created_at", "ingested_at")
        assert {key: record[key] for key in known if key not in (*times, "price_usd")} == {
            key: value for key, value in known.items() if key not in (*times, "price_usd")
        }
        for key in times:
            assert datetime.datetime.fromisoformat(record[key]) == datetime.datetime.fromisoformat(
                known[key]
            )
    assert b'"price_usd":0.1234567890123,' in lines[0]


@pytest.mark.parametrize("form", ["parquet", "arrow"])
async def test_numbers_are_floats_to_calculate_with_and_texts_with_every_digit(
    service: Service, add_coin: AddCoin, form: str
) -> None:
    smallest, largest = f"0.{'0' * 99}123456789", f"{'9' * 100}.5"
    await add_coin("A", price_usd_exact=smallest, market_cap_usd=largest, rank=7)
    await add_coin("B", name=None, price_usd_exact=None)
    table = table_of(form, await download(service, f"format={form}&limit=2"))
    types = {field.name: str(field.type) for field in table.schema}
    assert types["price_usd"] == types["percent_change_24h"] == "double"
    assert types["created_at"] == "timestamp[us, tz=UTC]"
    first, second = table.to_pylist()
    assert (first["price_usd_exact"], first["market_cap_usd_exact"]) == (smallest, largest)
    assert (first["price_usd"], first["market_cap_usd"]) == (float(smallest), float(largest))
    assert (first["rank"], first["created_at"]) == (7, NOW)
    assert [second[name] for name in ("name", "price_usd", "price_usd_exact", "rank")] == [None] * 4


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", {"BTC", "ETH", "OLD", "NONE"}),
        ("ticker=btc", {"BTC"}),
        ("source=coingecko", {"BTC", "OLD"}),
        ("source=coingecko&start_date=2026-02-01", {"BTC"}),
        ("end_date=2026-01-31", {"OLD"}),
        ("ticker=none%20&limit=1000", {"NONE"}),
        ("ticker=btc&source=other", set()),
    ],
)
async def test_the_filters_are_those_of_data(
    service: Service, add_coin: AddCoin, form: str, query: str, found: set[str]
) -> None:
    await add_coin("BTC", source="coingecko")
    await add_coin("ETH")
    await add_coin("OLD", source="coingecko", created_at=NOW - datetime.timedelta(days=9))
    await add_coin("NONE")
    rows = rows_of(form, await download(service, f"format={form}&{query}"))
    assert len(rows) == len(found)
    assert {row["ticker"] for row in rows} == found


async def test_a_stretch_has_the_order_of_data(service: Service, add_coin: AddCoin) -> None:
    expected = [f"T{number:02}" for number in range(25)]
    for number, ticker in enumerate(expected):
        await add_coin(ticker, market_cap_usd=str(100 - number // 2) if number < 15 else None)
    for limit, offset in ((500, 0), (4, 0), (7, 12), (30, 20)):
        rows = rows_of("csv", await download(service, f"format=csv&limit={limit}&offset={offset}"))
        assert [row["ticker"] for row in rows] == expected[offset : offset + limit]
    for before in (3, 14, 20):
        cursor = (await service.get(f"/data?limit={before}&cursor="))["pagination"]["next_cursor"]
        rows = rows_of("csv", await download(service, f"format=csv&cursor={quote(cursor)}"))
        assert [row["ticker"] for row in rows] == expected[before:]


async def test_a_guard_moves_no_record(service: Service, add_coin: AddCoin) -> None:
    for ticker in ("=A", "-B", "A", "'C", "0"):
        await add_coin(ticker)
    expected = [record["ticker"] for record in (await service.get("/data"))["data"]]
    rows = rows_of("csv", await download(service, "format=csv&limit=9"))
    assert [unguard(row["ticker"]) for row in rows] == expected


async def test_no_cell_is_a_formula(service: Service, add_coin: AddCoin) -> None:
    dangerous = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\uff1d1", "'=1", "''@x"]
    harmless = ["plain", "'quoted'", "a=b", " =1", "1-2", "\u03b1", "<b>"]
    for number, name in enumerate(dangerous + harmless):
        await add_coin(
            f"T{number}", name=name, market_cap_usd=str(100 - number), percent_change_24h="-3.5"
        )
    await add_coin("=CMD", name=None, market_cap_usd="1", percent_change_24h="-0.1")
    rows = rows_of("csv", await download(service, "format=csv&limit=100"))
    assert [row["name"] for row in rows] == [f"'{name}" for name in dangerous] + harmless + [None]
    assert rows[-1]["ticker"] == "'=CMD"
    assert {row["percent_change_24h"] for row in rows} == {"-3.5", "-0.1"}


@pytest.mark.parametrize("query", ["format=xml", "format=CSV", "format=csv%00"])
async def test_an_unknown_format_is_named(service: Service, query: str) -> None:
    body = await service.get(f"/data?{query}", status=422)
    message = "Input should be 'json', 'csv', 'ndjson', 'parquet' or 'arrow'"
    assert body == {
        "detail": [{"loc": ["query", "format"], "msg": message, "type": "literal_error"}]
    }


async def test_bad_parameters_of_a_file_are_refused_as_those_of_a_page(service: Service) -> None:
    body = await service.get("/data?format=csv&limit=0&offset=-1&start_date=x", status=422)
    assert [problem["loc"][1] for problem in body["detail"]] == ["limit", "offset", "start_date"]
    await service.get("/data?format=json&limit=201", status=422)
    assert (
        (await service.get("/data?format=json"))["data"]
        == (await service.get("/data?format="))["data"]
        == []
    )


ARROW_MISSING = (
    "Parquet and Arrow need pyarrow, which is not installed: `.venv/bin/pip install "
    "pyarrow` in a checkout, "
    "`uv tool install --with pyarrow .` or `pipx inject kasparro pyarrow` for a tool"
)


@pytest.mark.parametrize("form", ["parquet", "arrow"])
async def test_without_pyarrow_one_sentence_says_how_to_get_it(
    service: Service, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    body = await service.get(f"/data?format={form}", status=501)
    assert body == {"detail": ARROW_MISSING}
    await download(service, "format=csv")


async def test_an_export_too_many_is_told_to_come_back(service: Service) -> None:
    for _ in range(MAX_EXPORTS):
        await service.state.exports.acquire()
    async with service.client.get("/data?format=csv") as response:
        assert response.status == 503
        assert int(response.headers["Retry-After"]) > 0
        assert (await response.json())["detail"].startswith("Too many exports")
    await service.get("/data")
    service.state.exports.release()
    await download(service, "format=csv")


async def test_what_fails_before_the_first_byte_is_an_error_as_anywhere(
    service: Service, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server.rest.export, "TIMEOUT_SECONDS", 0.2)
    async with connection.transaction():
        await connection.execute("LOCK TABLE normalized_records")
        async with service.client.get("/data?format=csv") as response:
            assert response.status == 503
            assert response.headers["Content-Type"] == "application/json"
            assert "took too long" in (await response.json())["detail"]
    await download(service, "format=csv")


@asynccontextmanager
async def half_read(
    service: Service, connection: Connection, form: str
) -> AsyncIterator[aiohttp.ClientResponse]:
    """Start a long export, and stop reading while the database waits for the client."""
    await connection.execute(FILL, ROWS, NOW)
    async with service.client.get(f"/data?format={form}") as response:
        assert response.status == 200
        assert await response.content.readany()
        await until(lambda: connection.fetchval(f"{COPYING} AND wait_event = 'ClientWrite'"))
        yield response


@pytest.mark.parametrize("form", ["csv", "ndjson"])
async def test_what_fails_later_breaks_the_connection(
    service: Service, connection: Connection, form: str
) -> None:
    async with half_read(service, connection, form) as response:
        await connection.execute(f"SELECT pg_terminate_backend(pid) FROM ({COPYING}) AS copying")
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()
    assert not service.state.exports.locked()
    await service.get("/data")


async def test_a_client_that_stalls_loses_the_connection(
    service: Service, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server.rest.export, "STALL_SECONDS", 0.2)
    async with half_read(service, connection, "csv") as response:
        await until(lambda: connection.fetchval(f"SELECT NOT EXISTS ({COPYING})"))
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()


async def test_nothing_goes_on_for_a_client_that_left(
    service: Service, connection: Connection
) -> None:
    async with half_read(service, connection, "csv") as response:
        response.close()
        await until(lambda: connection.fetchval(f"SELECT NOT EXISTS ({COPYING})"))
    await until(lambda: asyncio.sleep(0, service.state.exports._value == MAX_EXPORTS))
    assert service.state.pool.get_size() == service.state.pool.get_idle_size()


async def test_a_server_that_stops_breaks_the_connection(
    service: Service, connection: Connection
) -> None:
    async with half_read(service, connection, "csv") as response:
        service.state.stopping.set()
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()


async def test_the_time_out_of_other_requests_neither_cuts_an_export_nor_is_lost(
    settings: Settings, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server.state, "STATEMENT_TIMEOUT_SECONDS", 0.5)
    async with running_service(settings) as service:
        async with half_read(service, connection, "ndjson") as response:
            await until(
                lambda: connection.fetchval(
                    f"{COPYING} AND clock_timestamp() - query_start > '1 s'"
                )
            )
            lines = 0
            async for chunk in response.content.iter_any():
                lines += chunk.count(b"\n")
        assert ROWS - lines <= 1000  # the first piece, read before, is missing here
        async with service.state.reading() as pooled:
            assert await pooled.fetchval("SHOW statement_timeout") == "500ms"


@pytest.mark.parametrize("form", FORMATS)
async def test_a_long_export_takes_no_more_memory_than_a_short_one(
    start_program: StartProgram,
    database: str,
    connection: Connection,
    state_folder: Path,
    unused_tcp_port: int,
    form: str,
) -> None:
    if form in ("parquet", "arrow"):
        pytest.importorskip("pyarrow")
    settings = {
        "DATABASE_URL": database,
        "KASPARRO_HOME": str(state_folder),
        "PORT": str(unused_tcp_port),
    }
    program = start_program("-m", "server", **settings)
    url = (await program.wait_for(r"Listening at (http://\S+)\n"))[1]
    process = psutil.Process(program.process.pid)
    async with aiohttp.ClientSession(url) as client:

        async def peak_of_download() -> tuple[int, int]:
            size = peak = 0
            async with client.get(f"/data?format={form}") as response:
                async for chunk in response.content.iter_any():
                    size += len(chunk)
                    peak = max(peak, process.memory_info().rss)
            return size, peak

        await connection.execute(FILL, ROWS // 2, NOW)
        short_size, short_peak = await peak_of_download()
        await connection.execute("TRUNCATE normalized_records")
        await connection.execute(FILL, ROWS * 4, NOW)
        size, peak = await peak_of_download()
    assert size > 7 * short_size
    assert peak - short_peak < 40_000_000
