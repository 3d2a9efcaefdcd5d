"""The recorded registries of both vendors: contracts of 2021 meet a list of 2022."""

import gzip
from collections import defaultdict
from pathlib import Path

import msgspec
from aiohttp import web

from common.chains import TokenAddress
from db.connect.pool import Pool
from db.write.identity.addresses import Key
from ingestor.http.fetch import Fetch
from ingestor.registry.groups import group_addresses
from ingestor.registry.reading import read_registry
from ingestor.sources.coingecko.source import CoinGecko
from ingestor.sources.coinpaprika import CoinPaprika
from tests.ingestor.conftest import QUICK, provider
from tests.ingestor.served import Serve

LIST = "coingecko-coins-list-platforms-2022-10-05.json.gz"
CONTRACTS = "coinpaprika-contracts-eth-third-2021-08-12T1907.json"


async def read(pool: Pool, serve: Serve, recordings: Path) -> None:
    """Read both registries from a server that has the recorded bodies."""
    bodies = {
        "coins/list": gzip.decompress((recordings / LIST).read_bytes()),
        "contracts": b'["eth-ethereum"]',
        "contracts/eth-ethereum": (recordings / CONTRACTS).read_bytes(),
    }

    async def answer(request: web.Request) -> web.StreamResponse:
        body = bodies[request.match_info["path"].removeprefix("api/v3/")]
        return web.Response(body=body, content_type="application/json")

    url = (await serve(answer)).url
    sources = (
        CoinPaprika(Fetch(provider("CoinPaprika", url), QUICK)),
        CoinGecko(Fetch(provider("CoinGecko", url), QUICK), monthly_calls=10**9),
    )
    for source in sources:
        assert await read_registry(pool, source, hours=24, full=True)
        await source.close()


async def test_the_contracts_of_2021_and_the_list_of_2022_meet_in_one_group_each(
    pool: Pool, serve: Serve, shared_recordings: Path
) -> None:
    await read(pool, serve, shared_recordings)
    async with pool.acquire() as connection:
        rows = await connection.fetch(
            "SELECT source, external_id, chain, address FROM listing_addresses WHERE active"
        )
        stored = {
            (row[0], row[1]): (row[2], tuple(row[3]))
            for row in await connection.fetch(
                "SELECT source, external_id, address_group, chains FROM address_groups"
            )
        }
        notes = await connection.fetch(
            "SELECT source, notes FROM registry_readings WHERE part = '' ORDER BY 1"
        )
    claims = [((row[0], row[1]), TokenAddress(row[2], row[3])) for row in rows]
    groups = group_addresses(claims)
    assert stored == {key: (group.address_group, group.chains) for key, group in groups.items()}
    keys: defaultdict[TokenAddress, set[Key]] = defaultdict(set)
    for key, token in claims:
        keys[token].add(key)
    common = [found for found in keys.values() if len({source for source, _ in found}) == 2]
    apart = [found for found in common if len({stored[key][0] for key in found}) > 1]
    print(f"{len(claims):,} addresses, {len(stored):,} keys, {len(common)} in common, {apart=}")  # noqa: T201 - measured
    assert (len(claims), len(stored), len(common)) == (15_694, 12_713, 475)
    assert apart == []
    # Two coins of one list that claim one address.
    assert sum(len(found) > 1 for found in keys.values()) == len(common) + 1
    counts = {
        (row["source"], note["about"]): note["count"]
        for row in notes
        for note in msgspec.json.decode(row["notes"])
    }
    assert counts == {("coingecko", "malformed address"): 11}
