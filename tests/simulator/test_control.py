"""The controls: ticks, delisting, what is expected, which requests came."""

import json
from typing import Any

import aiohttp
import pytest

from kasparro.simulator.app import Address
from kasparro.simulator.market.market import SimulatedMarket


async def control(
    simulator: Address,
    client: aiohttp.ClientSession,
    method: str,
    path: str,
    document: object = None,
) -> tuple[int, Any]:
    async with client.request(method, simulator.control_url + path, json=document) as response:
        return response.status, json.loads(await response.read())


async def ids(simulator: Address, client: aiohttp.ClientSession) -> set[str]:
    async with client.get(f"{simulator.coinpaprika_url}/tickers") as response:
        return {record["id"] for record in await response.json()}


async def test_a_tick_moves_the_clock_and_the_prices(
    simulator: Address, client: aiohttp.ClientSession
) -> None:
    _, before = await control(simulator, client, "GET", "/state")
    _, prices = await control(simulator, client, "GET", "/expected")
    status, after = await control(simulator, client, "POST", "/tick", {"ticks": 3})
    assert status == 200
    assert (after["tick"], after["now"]) == (before["tick"] + 3, before["now"] + 180)
    _, moved = await control(simulator, client, "GET", "/expected")
    assert moved != prices


async def test_a_delisted_coin_is_not_sent_until_it_is_relisted(
    simulator: Address, client: aiohttp.ClientSession
) -> None:
    bitcoin = {"provider": "coinpaprika", "id": "btc-bitcoin"}
    everything = await ids(simulator, client)
    assert (await control(simulator, client, "POST", "/delist", bitcoin))[0] == 200
    assert everything - await ids(simulator, client) == {"btc-bitcoin"}
    async with client.get(f"{simulator.coinpaprika_url}/tickers/btc-bitcoin") as response:
        assert response.status == 404
    _, expected = await control(simulator, client, "GET", "/expected?provider=coinpaprika")
    assert "btc-bitcoin" not in {listing["external_id"] for listing in expected["coinpaprika"]}
    assert (await control(simulator, client, "POST", "/relist", bitcoin))[0] == 200
    assert await ids(simulator, client) == everything


async def test_the_true_asset_of_a_listing_is_told(
    simulator: Address, client: aiohttp.ClientSession, market: SimulatedMarket
) -> None:
    _, expected = await control(simulator, client, "GET", "/expected")
    paprika = {listing["asset"]: listing for listing in expected["coinpaprika"]}
    gecko = {listing["asset"]: listing for listing in expected["coingecko"]}
    assert len(paprika) == len(gecko) == 600
    assert len(set(paprika) & set(gecko)) == market.universe.shared
    assert (paprika[0]["external_id"], gecko[0]["external_id"]) == ("btc-bitcoin", "bitcoin")
    _, slice_of_it = await control(
        simulator, client, "GET", "/expected?provider=coinpaprika&offset=10&limit=5"
    )
    assert slice_of_it == {"coinpaprika": expected["coinpaprika"][10:15]}


async def test_requests_are_remembered_with_headers_and_answers(
    simulator: Address, client: aiohttp.ClientSession
) -> None:
    async with client.get(
        f"{simulator.coingecko_url}/ping?a=1", headers={"x-cg-demo-api-key": "key"}
    ) as response:
        assert response.status == 200
    _, requests = await control(simulator, client, "GET", "/requests")
    assert len(requests) == 1
    assert (requests[0]["provider"], requests[0]["path"], requests[0]["status"]) == (
        "coingecko",
        "/ping",
        200,
    )
    assert requests[0]["headers"]["x-cg-demo-api-key"] == "key"
    assert requests[0]["query"] == {"a": "1"}
    assert await control(simulator, client, "DELETE", "/requests") == (200, [])
    assert await control(simulator, client, "GET", "/requests") == (200, [])


@pytest.mark.parametrize(
    ("method", "path", "document", "status", "reason"),
    [
        ("POST", "/tick", {"ticks": 0}, 400, "at least 1"),
        ("POST", "/tick", {"times": 1}, 400, "unknown field `times`"),
        ("POST", "/faults", {"kind": "flood"}, 400, "$.kind"),
        ("POST", "/faults", [{"kind": "html", "times": 0}], 400, "$[0].times"),
        ("POST", "/delist", {"provider": "coingecko", "id": "nothing"}, 404, "lists no nothing"),
        ("POST", "/relist", {"provider": "coingecko", "id": "bitcoin"}, 404, "not delisted"),
        ("GET", "/expected?provider=other", None, 400, "must be one of"),
        ("GET", "/expected?limit=-1", None, 400, "limit"),
    ],
)
async def test_a_control_that_cannot_be_is_refused_with_the_reason(
    simulator: Address,
    client: aiohttp.ClientSession,
    *,
    method: str,
    path: str,
    document: object,
    status: int,
    reason: str,
) -> None:
    got, answer = await control(simulator, client, method, path, document)
    assert got == status
    assert reason in answer["error"]
