"""Both providers' routes: bodies, validators, keys, limits, errors, charts."""

import gzip
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from kasparro.simulator.app import Address, create_app, serving
from kasparro.simulator.bodies import MAX_CACHED_RECORDS
from kasparro.simulator.coinpaprika_rows import row
from kasparro.simulator.control import expected_listings
from kasparro.simulator.limits import RateLimits
from kasparro.simulator.market.market import SimulatedMarket
from kasparro.simulator.market.universe import PROVIDERS, Provider

MARKETS = "/coins/markets?vs_currency=usd&per_page=250"


def decode(body: bytes) -> Any:  # noqa: ANN401 -- whatever JSON was sent, numbers as their texts
    return json.loads(body, parse_float=str, parse_int=str)


async def get(
    client: aiohttp.ClientSession, url: str, **headers: str
) -> tuple[int, bytes, dict[str, str]]:
    async with client.get(url, headers=headers, allow_redirects=False) as response:
        return (
            response.status,
            await response.read(),
            {name.lower(): value for name, value in response.headers.items()},
        )


async def all_pages(client: aiohttp.ClientSession, simulator: Address) -> list[dict[str, str]]:
    records: list[dict[str, str]] = []
    for page in range(1, 100):
        _, body, _ = await get(client, f"{simulator.coingecko_url}{MARKETS}&page={page}")
        found = decode(body)
        if not found:
            return records
        records += found
    raise AssertionError("the pages do not end")


@asynccontextmanager
async def limited(
    market: SimulatedMarket, provider: Provider, limits: RateLimits
) -> AsyncIterator[Address]:
    async with serving(create_app(market, limits={provider: limits})) as address:
        yield address


async def test_what_coinpaprika_sends_is_what_is_expected(
    simulator: Address, client: aiohttp.ClientSession, market: SimulatedMarket
) -> None:
    status, body, headers = await get(client, f"{simulator.coinpaprika_url}/tickers?quotes=USD")
    assert status == 200
    assert headers["content-type"] == "application/json; charset=UTF-8"
    records = {record["id"]: record for record in decode(body)}
    wanted = expected_listings(market, "coinpaprika")
    assert set(records) == {listing.external_id for listing in wanted}
    for listing in wanted:
        record, dollars = (
            records[listing.external_id],
            records[listing.external_id]["quotes"]["USD"],
        )
        assert (record["symbol"], record["name"]) == (listing.symbol, listing.name)
        assert dollars["price"] == (listing.price_usd or "")
        assert dollars["market_cap"] == (listing.market_cap_usd or "0")
        assert dollars["volume_24h"] == listing.volume_24h_usd
        assert dollars["percent_change_24h"] == listing.percent_change_24h
        assert record["last_updated"] == listing.last_updated


async def test_what_coingecko_sends_is_what_is_expected(
    simulator: Address, client: aiohttp.ClientSession, market: SimulatedMarket
) -> None:
    records = {record["id"]: record for record in await all_pages(client, simulator)}
    wanted = expected_listings(market, "coingecko")
    assert set(records) == {listing.external_id for listing in wanted}
    for listing in wanted:
        record = records[listing.external_id]
        assert (record["symbol"], record["name"]) == (listing.symbol, listing.name)
        assert record["current_price"] == listing.price_usd
        assert record["market_cap"] == (listing.market_cap_usd or "0")
        assert record["total_volume"] == listing.volume_24h_usd
        assert record["price_change_percentage_24h"] == listing.percent_change_24h
        assert record["last_updated"] == listing.last_updated


@pytest.mark.parametrize(
    ("recorded", "path"),
    [
        ("coinpaprika-tickers-2021-08-12T1906.json.gz", "/coinpaprika/v1/tickers"),
        ("coinpaprika-coins-2021-08-12T1907.json.gz", "/coinpaprika/v1/coins"),
        ("coingecko-markets-2022-08-30T0006.json", f"/coingecko/api/v3{MARKETS}"),
        ("coingecko-coins-list-2026-02-03T2021.json.gz", "/coingecko/api/v3/coins/list"),
    ],
)
async def test_records_have_the_recorded_keys_in_the_recorded_order(
    shared_recordings: Path,
    simulator: Address,
    client: aiohttp.ClientSession,
    recorded: str,
    path: str,
) -> None:
    file = shared_recordings / recorded
    bitcoin = json.loads(
        gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    )
    _, body, _ = await get(client, simulator.root + path)
    ours = decode(body)[0]
    assert list(ours) == list(bitcoin[0])
    if "quotes" in ours:
        assert list(ours["quotes"]["USD"]) == list(bitcoin[0]["quotes"]["USD"])


async def test_one_ticker_is_its_row_and_an_unknown_one_is_not_found(
    simulator: Address, client: aiohttp.ClientSession
) -> None:
    _, body, _ = await get(client, f"{simulator.coinpaprika_url}/tickers")
    status, row, _ = await get(client, f"{simulator.coinpaprika_url}/tickers/btc-bitcoin")
    assert status == 200
    assert row in body
    assert await get(client, f"{simulator.coinpaprika_url}/tickers/nothing") == (
        404,
        b'{"error":"id not found"}\n',
        (await get(client, f"{simulator.coinpaprika_url}/nowhere"))[2],
    )


@pytest.mark.parametrize("path", ["/coinpaprika/v1/tickers", f"/coingecko/api/v3{MARKETS}"])
async def test_who_has_the_body_gets_304_until_a_price_moves(
    simulator: Address, client: aiohttp.ClientSession, market: SimulatedMarket, path: str
) -> None:
    status, body, headers = await get(client, simulator.root + path)
    has_it = {"If-None-Match": headers["etag"]}
    assert status == 200
    for validators in (has_it, {"If-Modified-Since": headers["last-modified"]}):
        status, nothing, same = await get(client, simulator.root + path, **validators)
        assert (status, nothing, same["etag"]) == (304, b"", headers["etag"])
    market.advance()
    status, moved, newer = await get(client, simulator.root + path, **has_it)
    assert status == 200
    assert moved != body
    assert newer["etag"] != headers["etag"]


async def test_a_body_is_gzipped_for_who_accepts_it(
    simulator: Address, client: aiohttp.ClientSession
) -> None:
    url = f"{simulator.coinpaprika_url}/tickers"
    _, plain, headers = await get(client, url, **{"Accept-Encoding": "identity"})
    assert "content-encoding" not in headers
    _, unzipped, headers = await get(client, url, **{"Accept-Encoding": "gzip"})
    assert headers["content-encoding"] == "gzip"
    assert int(headers["content-length"]) < len(plain) // 2
    assert unzipped == plain


async def test_the_free_plan_has_fewer_coins_and_no_circulating_supply(
    client: aiohttp.ClientSession,
) -> None:
    async with serving(create_app(SimulatedMarket(2_500, free_plan=True))) as simulator:
        _, body, _ = await get(client, f"{simulator.coinpaprika_url}/tickers")
    records = decode(body)
    assert len(records) == 2_000
    assert not any("circulating_supply" in record for record in records)
    assert records[0]["id"] == "btc-bitcoin"


async def test_coingecko_pages_end_with_an_empty_one_and_hold_250_at_most(
    simulator: Address, client: aiohttp.ClientSession
) -> None:
    assert len(await all_pages(client, simulator)) == 600
    url = f"{simulator.coingecko_url}/coins/markets?vs_currency=usd"
    assert len(decode((await get(client, f"{url}&per_page=1000"))[1])) == 250
    assert len(decode((await get(client, url))[1])) == 100
    assert [
        c["id"] for c in decode((await get(client, f"{url}&ids=ethereum,nothing,bitcoin"))[1])
    ] == [
        "ethereum",
        "bitcoin",
    ]


@pytest.mark.parametrize(
    ("path", "status", "error"),
    [
        ("/coins/markets", 422, "Missing parameter vs_currency"),
        ("/coins/markets?vs_currency=eur", 422, "invalid vs_currency"),
        (
            "/coins/markets?vs_currency=usd&order=id_asc",
            422,
            "only order=market_cap_desc is simulated",
        ),
        ("/coins/bitcoin/market_chart?vs_currency=usd", 422, "Missing parameter days"),
        ("/coins/bitcoin/market_chart?vs_currency=usd&days=x", 422, "invalid days"),
        ("/coins/nothing/market_chart?vs_currency=usd&days=1", 404, "coin not found"),
        ("/nowhere", 404, "Incorrect path. Please check https://www.coingecko.com/api/"),
    ],
)
async def test_coingecko_names_a_bad_argument(
    simulator: Address, client: aiohttp.ClientSession, path: str, status: int, error: str
) -> None:
    got, body, _ = await get(client, simulator.coingecko_url + path)
    assert (got, json.loads(body)) == (status, {"error": error})


async def test_coingecko_speaks_its_other_error_shapes_for_what_only_subscribers_may(
    simulator: Address, client: aiohttp.ClientSession
) -> None:
    chart = f"{simulator.coingecko_url}/coins/bitcoin/market_chart?vs_currency=usd"
    status, body, _ = await get(client, f"{chart}&days=400")
    assert status == 401
    assert json.loads(body)["error"]["status"]["error_code"] == 10012
    status, body, _ = await get(client, f"{chart}&days=2&interval=hourly")
    assert status == 401
    assert json.loads(body)["error_code"] == 10005
    assert (await get(client, f"{chart}&days=400", **{"x-cg-pro-api-key": "key"}))[0] == 200


async def test_a_chart_is_a_past_that_does_not_change_and_ends_at_the_present(
    simulator: Address, client: aiohttp.ClientSession, market: SimulatedMarket
) -> None:
    chart = f"{simulator.coingecko_url}/coins/bitcoin/market_chart?vs_currency=usd&days=1"
    before = decode((await get(client, chart))[1])
    market.advance(10)
    after = decode((await get(client, chart))[1])
    assert (
        len(before["prices"]) == len(before["market_caps"]) == len(before["total_volumes"]) == 289
    )
    assert before["prices"][5:-1] == after["prices"][3:-3]
    price = Decimal(
        decode((await get(client, f"{simulator.coingecko_url}{MARKETS}&ids=bitcoin"))[1])[0][
            "current_price"
        ]
    )
    assert abs(Decimal(after["prices"][-1][1]) - price) <= Decimal("0.5")


async def test_a_market_too_large_to_hold_is_streamed(client: aiohttp.ClientSession) -> None:
    market = SimulatedMarket(MAX_CACHED_RECORDS + 1)
    async with serving(create_app(market)) as simulator:
        for list_of_coins in (
            f"{simulator.coinpaprika_url}/coins",
            f"{simulator.coingecko_url}/coins/list",
        ):
            _, body, _ = await get(client, list_of_coins)
            assert len({coin["id"] for coin in json.loads(body)}) == MAX_CACHED_RECORDS + 1
        async with client.get(f"{simulator.coinpaprika_url}/tickers") as response:
            bitcoin = await response.content.readuntil(b"}}}")
    assert bitcoin == b"[" + row(market, 0)


async def test_ping(simulator: Address, client: aiohttp.ClientSession) -> None:
    assert json.loads((await get(client, f"{simulator.coingecko_url}/ping"))[1]) == {
        "gecko_says": "(V3) To the Moon!"
    }


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_too_many_requests_get_429_and_are_told_when_to_come_back(
    market: SimulatedMarket, client: aiohttp.ClientSession, provider: Provider
) -> None:
    async with limited(market, provider, RateLimits((2, 3_600))) as simulator:
        base = getattr(simulator, f"{provider}_url")
        answers = [await get(client, f"{base}/coins") for _ in range(4)]
    assert [status == 429 for status, _, _ in answers] == [False, False, True, True]
    assert 0 < int(answers[-1][2]["retry-after"]) <= 3_600


@pytest.mark.parametrize(("provider", "status"), [("coinpaprika", 402), ("coingecko", 429)])
async def test_the_month_ends(
    market: SimulatedMarket, client: aiohttp.ClientSession, provider: Provider, status: int
) -> None:
    async with limited(market, provider, RateLimits(monthly=1)) as simulator:
        base = getattr(simulator, f"{provider}_url")
        answers = [(await get(client, f"{base}/coins"))[0] for _ in range(2)]
    assert answers[0] != status
    assert answers[1] == status


def test_a_window_counts_anew_when_it_ends() -> None:
    limits = RateLimits((1, 60))
    assert [limits.wait_seconds(now) for now in (0, 45.5, 60, 119)] == [None, 15, None, 1]


async def test_a_wrong_or_missing_key_is_refused(
    market: SimulatedMarket, client: aiohttp.ClientSession
) -> None:
    async with serving(
        create_app(market, keys={"coinpaprika": "secret", "coingecko": "secret"})
    ) as simulator:
        tickers, ping = (
            f"{simulator.coinpaprika_url}/tickers/btc-bitcoin",
            f"{simulator.coingecko_url}/ping",
        )
        assert (await get(client, tickers))[0] == 403
        assert (await get(client, tickers, Authorization="secret"))[0] == 200
        missing, wrong = (
            await get(client, ping),
            await get(client, ping, **{"x-cg-demo-api-key": "no"}),
        )
        assert (missing[0], json.loads(missing[1])["status"]["error_code"]) == (401, 10002)
        assert (wrong[0], json.loads(wrong[1])["status"]["error_code"]) == (401, 10010)
        for name in ("x-cg-demo-api-key", "x-cg-pro-api-key"):
            assert (await get(client, ping, **{name: "secret"}))[0] == 200
        assert (await get(client, f"{ping}?x_cg_demo_api_key=secret"))[0] == 200
