"""The registry is read beside the polls: once a day, within the budget, and never half."""

import datetime
import sys
from collections import defaultdict

import pytest
import structlog.testing

from common.chains import TokenAddress, platform_address
from db.write.api_calls import add_calls, count_calls
from db.write.registry import StoredPart
from ingestor.clock import utc_now
from ingestor.registry.groups import group_addresses
from ingestor.registry.reading import ReadRegistry, judge, read_registry
from ingestor.sources.coingecko.source import CoinGecko
from ingestor.sources.coinpaprika import CoinPaprika
from ingestor.sources.records import AddressPage, ListedAddress
from kasparro.simulator.market.contracts import PLATFORMS, contracts
from kasparro.simulator.market.universe import PROVIDERS, Provider
from tests.ingestor.conftest import Ingest
from tests.ingestor.test_loop import ask, ingesting, until

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

CALLS = 1 + len(PLATFORMS)


async def read(ingest: Ingest, name: str, *, full: bool = False) -> ReadRegistry | None:
    source = ingest.sources[name]
    assert isinstance(source, CoinPaprika | CoinGecko)
    return await read_registry(ingest.pool, source, hours=24, full=full)


async def read_all(ingest: Ingest) -> None:
    for name in PROVIDERS:
        await ingest.run(name)
        assert await read(ingest, name) is not None


async def readings(ingest: Ingest, name: str) -> list[tuple[object, ...]]:
    return await ingest.rows(
        "SELECT part, failures, error, addresses FROM registry_readings WHERE source = $1 "
        "ORDER BY part",
        name,
    )


async def test_the_tables_hold_what_both_providers_say(ingest: Ingest) -> None:
    await read_all(ingest)
    universe = ingest.market.universe
    expected = {
        (name, universe.label(name, asset).external_id, *token)
        for name in PROVIDERS
        for asset in ingest.market.listed(name)
        for contract in contracts(universe, name, asset)
        if (token := platform_address(name, contract.platform, contract.address))
    }
    stored = await ingest.rows("SELECT source, external_id, chain, address FROM listing_addresses")
    assert set(stored) == expected
    assert len(stored) == len(expected) > 900
    active = await ingest.rows(
        "SELECT source, external_id, chain, address FROM listing_addresses WHERE active"
    )
    assert 0 < len(stored) - len(active) < 20


async def test_groups_are_those_of_the_addresses_and_join_one_asset_at_both(
    ingest: Ingest,
) -> None:
    await read_all(ingest)
    rows = await ingest.rows(
        "SELECT source, external_id, chain, address FROM listing_addresses WHERE active"
    )
    expected = group_addresses(
        [((str(row[0]), str(row[1])), TokenAddress(str(row[2]), str(row[3]))) for row in rows]
    )
    stored = {
        (row[0], row[1]): (row[2], row[3])
        for row in await ingest.rows(
            "SELECT source, external_id, address_group, chains FROM address_groups"
        )
    }
    assert stored == {
        key: (group.address_group, list(group.chains)) for key, group in expected.items()
    }
    joined = defaultdict(set)
    for (source, external_id), (name, _) in stored.items():
        provider: Provider = "coingecko" if source == "coingecko" else "coinpaprika"
        joined[name].add(ingest.market.universe.find(provider, str(external_id)))
    assert all(len(assets) == 1 for assets in joined.values())
    assert sum(len(group) == 2 for group in _members(stored).values()) > 200


def _members(
    stored: dict[tuple[object, object], tuple[object, object]],
) -> dict[object, set[object]]:
    members: defaultdict[object, set[object]] = defaultdict(set)
    for key, (name, _) in stored.items():
        members[name].add(key)
    return members


async def test_the_bodies_are_kept_byte_for_byte_and_only_the_newest_two(ingest: Ingest) -> None:
    await ingest.run("coinpaprika")
    for _ in range(4):
        assert await read(ingest, "coinpaprika", full=True)
        listed = next(
            asset
            for asset in ingest.market.listed("coinpaprika")
            for contract in contracts(ingest.market.universe, "coinpaprika", asset)
            if contract.platform == "eth-ethereum"
        )
        label = ingest.market.universe.label("coinpaprika", listed)
        ingest.market.delist("coinpaprika", label.external_id)
    counts = await ingest.pairs("SELECT path, count(*) FROM registry_bodies GROUP BY 1")
    assert dict(counts)["contracts/eth-ethereum"] == 2
    assert dict(counts)["contracts"] == 1
    for body, size in await ingest.pairs("SELECT body, size FROM registry_bodies"):
        assert isinstance(body, bytes)
        assert len(zstd.decompress(body)) == size


async def test_a_registry_waits_for_prices_and_is_not_read_again_before_it_is_due(
    ingest: Ingest,
) -> None:
    assert await read(ingest, "coingecko") is None
    await ingest.run("coingecko")
    first = await read(ingest, "coingecko")
    assert first is not None
    assert first.changed == first.addresses > 400
    assert await read(ingest, "coingecko") is None
    again = await read(ingest, "coingecko", full=True)
    assert again is not None
    assert (again.changed, again.coins) == (0, [])
    await ingest.value(
        "UPDATE registry_readings SET due_at = now() + interval '25 h' WHERE part = ''"
    )
    assert await read(ingest, "coingecko") is not None, "REGISTRY_HOURS was made smaller"


async def test_coins_are_merged_and_told_when_their_addresses_change(ingest: Ingest) -> None:
    await read_all(ingest)
    group, external_id = (
        await ingest.pairs(
            "SELECT g.address_group, g.external_id FROM address_groups AS g "
            "JOIN address_groups AS o USING (address_group) "
            "WHERE g.source = 'coinpaprika' AND o.source = 'coingecko' LIMIT 1"
        )
    )[0]
    ingest.market.delist("coinpaprika", str(external_id))
    result = await read(ingest, "coinpaprika", full=True)
    assert result is not None
    assert result.changed >= 1
    assert await ingest.value(
        "SELECT count(*) FROM address_groups WHERE address_group = $1", group
    ) == 1  # fmt: skip


async def test_a_platform_that_fails_is_noted_and_loses_no_address(ingest: Ingest) -> None:
    await read_all(ingest)
    before = await ingest.rows("SELECT * FROM address_groups ORDER BY 1, 2")
    ingest.fault("status", provider="coinpaprika", route="*sol-solana", status=404)
    ingest.fault("wrong_type", provider="coinpaprika", route="*matic-polygon")
    result = await read(ingest, "coinpaprika", full=True)
    assert result is not None
    assert {note.about for note in result.notes} >= {
        "not read: contracts/sol-solana", "not read: contracts/matic-polygon", "unknown platform",
    }  # fmt: skip
    assert await ingest.rows("SELECT * FROM address_groups ORDER BY 1, 2") == before
    failed = [row[:2] for row in await readings(ingest, "coinpaprika") if row[1]]
    assert failed == [("contracts/matic-polygon", 1), ("contracts/sol-solana", 1)]
    assert await read(ingest, "coinpaprika", full=True)
    assert all(row[1] == 0 for row in await readings(ingest, "coinpaprika"))


async def test_a_failure_is_stored_with_the_next_attempt_and_changes_nothing(
    ingest: Ingest,
) -> None:
    await ingest.run("coinpaprika")
    ingest.fault("status", provider="coinpaprika", route="*contracts/*", status=503, times=None)
    for failures, longest in ((1, 300), (2, 600)):
        with structlog.testing.capture_logs() as logs:
            assert await read(ingest, "coinpaprika", full=True) is None
        assert [log["event"] for log in logs if log["event"].startswith("registry")] == [
            "registry.failed"
        ]
        (row,) = await ingest.rows(
            "SELECT part, failures, error, due_at - now() FROM registry_readings"
        )
        assert row[:2] == ("", failures)
        assert "503" in str(row[2])
        assert isinstance(row[3], datetime.timedelta)
        assert longest / 2 - 5 < row[3].total_seconds() <= longest
    assert await ingest.value("SELECT count(*) FROM listing_addresses") == 0
    assert await read(ingest, "coinpaprika") is None, "it is not due yet"
    assert (await ingest.run("coinpaprika")).status == "success", "the polls go on"
    ingest.faults.clear()
    await ingest.value("UPDATE registry_readings SET due_at = now() WHERE part = ''")
    assert await read(ingest, "coinpaprika") is not None
    assert (await readings(ingest, "coinpaprika"))[0][1:3] == (0, None)


async def test_the_calls_count_and_a_spent_budget_leaves_the_registry_for_later(
    ingest: Ingest,
) -> None:
    await ingest.run("coingecko")
    async with ingest.pool.acquire() as connection:
        before = await count_calls(connection, "coingecko", utc_now())
        gecko = ingest.sources["coingecko"]
        assert isinstance(gecko, CoinGecko)
        assert await read(ingest, "coingecko") is not None
        assert await count_calls(connection, "coingecko", utc_now()) == before + 1
        gecko._monthly_calls = 1_000
        await add_calls(connection, "coingecko", 1_000, utc_now())
        assert await read(ingest, "coingecko", full=True) is None
        assert await count_calls(connection, "coingecko", utc_now()) == before + 1 + 1_000
    assert "no calls left this month" in str((await readings(ingest, "coingecko"))[0][2])


async def test_a_source_that_lost_most_of_its_addresses_is_believed_the_third_time(
    ingest: Ingest,
) -> None:
    await ingest.run("coinpaprika")
    assert await read(ingest, "coinpaprika")
    before = await address_count(ingest)
    for asset in list(ingest.market.listed("coinpaprika"))[:400]:
        ingest.market.delist(
            "coinpaprika", ingest.market.universe.label("coinpaprika", asset).external_id
        )
    for _ in range(2):
        assert await read(ingest, "coinpaprika", full=True)
        assert await address_count(ingest) > before * 0.9
    assert await read(ingest, "coinpaprika", full=True)
    assert await address_count(ingest) < before / 2


async def address_count(ingest: Ingest) -> int:
    return len(await ingest.rows("SELECT FROM listing_addresses"))


async def read_times(ingest: Ingest) -> dict[object, object]:
    return dict(await ingest.pairs("SELECT source, read_at FROM registry_readings WHERE part = ''"))


def page(part: str, count: int, failure: str | None = None) -> AddressPage:
    listed = ListedAddress("a", TokenAddress(part, "1"))
    return AddressPage(part, utc_now(), addresses=[listed] * count, chains=(part,), failure=failure)


@pytest.mark.parametrize(
    ("before", "now", "failures", "is_read"),
    [
        (100, 50, 0, True),
        (100, 49, 0, False),
        (100, 49, 1, False),
        (100, 49, 2, True),
        (19, 0, 0, True),
        (None, 0, 0, True),
    ],
)
def test_a_part_is_doubted_if_it_lost_more_than_half(
    before: int | None,
    now: int,
    failures: int,
    is_read: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    stored = {} if before is None else {"a": StoredPart(before, failures)}
    pages = judge([page("a", now), page("b", 0, "gone")], stored)
    assert [read.part for read in pages.read] == (["a"] if is_read else [])
    assert pages.doubtful_chains == frozenset({"b"} if is_read else {"a", "b"})
    assert not pages.is_whole


async def test_the_loop_reads_after_the_first_prices_once_and_not_after_a_restart(
    ingest: Ingest,
) -> None:
    async def is_read() -> object:
        return await ingest.value(
            "SELECT count(*) = 2 FROM registry_readings WHERE part = '' AND read_at IS NOT NULL"
        )

    async with ingesting(ingest, "coinpaprika", "coingecko"):
        await until(is_read)
    at = await read_times(ingest)
    async with ingesting(ingest, "coinpaprika", "coingecko"):
        request = await ask(ingest, "coinpaprika")
        await until(
            lambda: ingest.value("SELECT status = 'done' FROM etl_requests WHERE id = $1", request)
        )
        assert await read_times(ingest) == at, "a restart does not read it again"
        await ask(ingest, "coinpaprika", full=True)
        await until(
            lambda: ingest.value(
                "SELECT read_at > $1 FROM registry_readings "
                "WHERE part = '' AND source = 'coinpaprika'",
                at["coinpaprika"],
            )
        )
