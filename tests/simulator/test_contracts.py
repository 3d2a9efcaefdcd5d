"""The contracts of a simulated market: shapes as recorded, addresses that tell assets apart."""

from collections import Counter

import aiohttp
import msgspec

from kasparro.simulator.app import Address
from kasparro.simulator.market.contracts import PLATFORMS, address_of, contracts
from kasparro.simulator.market.market import SimulatedMarket
from kasparro.simulator.market.universe import Universe


async def body(client: aiohttp.ClientSession, url: str) -> list[dict[str, object]]:
    async with client.get(url) as response:
        assert response.status == 200
        return msgspec.json.decode(await response.read(), type=list[dict[str, object]])


async def test_coingecko_lists_the_platforms_only_on_request(
    simulator: Address, client: aiohttp.ClientSession
) -> None:
    plain = await body(client, f"{simulator.coingecko_url}/coins/list")
    full = await body(client, f"{simulator.coingecko_url}/coins/list?include_platform=true")
    assert [set(coin) for coin in plain] == [{"id", "symbol", "name"}] * len(full)
    assert [{**coin, "platforms": {}} for coin in plain] == [
        {**coin, "platforms": {}} for coin in full
    ]
    platforms = Counter(
        platform for coin in full for platform in msgspec.convert(coin["platforms"], dict[str, str])
    )
    assert platforms.keys() <= {platform.gecko_id for platform in PLATFORMS}
    assert platforms["ethereum"] > platforms["tron"] > 0


async def test_coinpaprika_lists_the_contracts_of_each_platform(
    simulator: Address, client: aiohttp.ClientSession, market: SimulatedMarket
) -> None:
    async with client.get(f"{simulator.coinpaprika_url}/contracts") as response:
        names = msgspec.json.decode(await response.read(), type=list[str])
    assert names == [platform.paprika_id for platform in PLATFORMS]
    found = {
        (row["id"], row["address"])
        for name in names
        for row in await body(client, f"{simulator.coinpaprika_url}/contracts/{name}")
        if set(row) == {"address", "type", "id", "active"}
    }
    assert found == {
        (market.universe.label("coinpaprika", asset).external_id, contract.address)
        for asset in market.listed("coinpaprika")
        for contract in contracts(market.universe, "coinpaprika", asset)
    }
    async with client.get(f"{simulator.coinpaprika_url}/contracts/no-platform") as response:
        assert response.status == 404


def test_no_two_assets_have_one_address_and_both_providers_mean_the_same() -> None:
    universe = Universe(2_000, seed=3)
    given = Counter(
        contract.address.removesuffix("#code").lower()
        for asset in range(universe.size)
        for contract in contracts(universe, "coingecko", asset)
    )
    assert max(given.values()) == 1
    assert 0.8 < len(given) / universe.size < 1.1
    shared = [
        contract.address.lower()
        for asset in range(universe.shared)
        for contract in contracts(universe, "coinpaprika", asset)
    ]
    assert set(shared) <= given.keys()
    assert address_of(universe, 7, 0) != address_of(universe, 7, 1)
