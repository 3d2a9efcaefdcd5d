"""Groups that are computed again after each change are those of all addresses together."""

import datetime
import random

import pytest

from common.chains import TokenAddress
from db.connect.types import Connection
from db.write.identity.addresses import AddressGroup, Key, ListedAddress, replace_addresses
from db.write.transaction import write_transaction
from ingestor.registry.groups import group_addresses
from ingestor.registry.regroup import regroup

AT = datetime.datetime(2026, 11, 30, tzinfo=datetime.UTC)
SOURCES = ("coingecko", "coinpaprika", "csv")
IDS = ("usd-coin", "bridged-usd-coin", "usd", "coin", "dai", "old-dai")
CHAINS = ("bsc", "ethereum", "coingecko:new chain")


async def stored(connection: Connection) -> dict[Key, AddressGroup]:
    rows = await connection.fetch("SELECT * FROM address_groups")
    return {(row[0], row[1]): AddressGroup(row[2], tuple(row[3])) for row in rows}


async def expected(connection: Connection) -> dict[Key, AddressGroup]:
    rows = await connection.fetch(
        "SELECT source, external_id, chain, address FROM listing_addresses WHERE active"
    )
    return group_addresses([((row[0], row[1]), TokenAddress(row[2], row[3])) for row in rows])


def some(chance: random.Random, ids: list[str], chains: list[str]) -> list[ListedAddress]:
    return [
        ListedAddress(
            chance.choice(ids),
            TokenAddress(chance.choice(chains), chance.choice("12345")),
            active=chance.random() < 0.9,
        )
        for _ in range(chance.randrange(8))
    ]


@pytest.mark.parametrize("seed", range(6))
async def test_after_each_change_the_groups_are_those_of_all_addresses(
    connection: Connection, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311 - a test must be repeatable
    for _ in range(25):
        source = chance.choice(SOURCES)
        ids = chance.sample(IDS, chance.randint(1, 3)) if chance.random() < 0.5 else list(IDS)
        chains = chance.sample(CHAINS, 1) if chance.random() < 0.3 else list(CHAINS)
        async with write_transaction(connection):
            changed = await replace_addresses(
                connection,
                source,
                some(chance, ids, chains),
                AT,
                external_ids=None if len(ids) == len(IDS) else ids,
                chains=None if len(chains) == len(CHAINS) else chains,
            )
            await regroup(connection, source, changed)
        assert await stored(connection) == await expected(connection)


async def test_the_tickers_to_merge_are_those_of_the_changed_and_of_their_mates(
    connection: Connection,
) -> None:
    for source, external_id, ticker in (
        ("coingecko", "melon", "MLN"),
        ("coinpaprika", "enzyme", "ENZ"),
        ("csv", "other", "OTHER"),
    ):
        await connection.execute(
            "INSERT INTO listings (source, external_id, ticker, symbol, name, name_words, "
            "core_words, price_usd, observed_at, fetched_at, content_hash, first_seen_at, "
            "last_seen_at) "
            "VALUES ($1, $2, $3, $3, '', '', '', 1, now(), now(), '\\x00', now(), now())",
            source,
            external_id,
            ticker,
        )

    async def change(source: str, external_id: str, *addresses: str) -> frozenset[str]:
        given = [ListedAddress(external_id, TokenAddress("bsc", each)) for each in addresses]
        async with write_transaction(connection):
            changed = await replace_addresses(connection, source, given, AT)
            return await regroup(connection, source, changed)

    assert await change("coingecko", "melon", "1") == {"MLN"}
    assert await change("coinpaprika", "enzyme", "1") == {"ENZ", "MLN"}
    assert await change("csv", "other", "2") == {"OTHER"}
    assert await change("csv", "other", "2") == frozenset()
    assert await change("coinpaprika", "enzyme", "3") == {"ENZ", "MLN"}
    assert await change("coinpaprika", "enzyme") == {"ENZ"}
