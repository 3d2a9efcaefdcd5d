"""A source's past becomes the history of its coins: every point of it, once, within the budget."""

import json
import re
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import asyncpg
import pytest

from db.connect.pool import Pool
from db.connect.types import Connection
from db.schema.partitions import DEFAULT_RETENTION
from db.write.api_calls import add_calls, count_calls
from db.write.backfill import PastPrice
from ingestor.backfill.job import (
    MAX_SKIPPED_IN_A_ROW,
    BackfillPlan,
    BackfillRefusedError,
    BackfillStep,
    BudgetSpentError,
    NamedBackfills,
    backfill,
    exclusive_backfill,
    plan_backfill,
)
from ingestor.clock import utc_now
from ingestor.http.fetch import Fetch
from ingestor.sources.coingecko.source import CoinGecko
from ingestor.sources.errors import SourceError, SourceRefusedError, SourceUnavailableError
from kasparro.simulator.app import Address, create_app, serving
from kasparro.simulator.coingecko_rows import chart
from kasparro.simulator.market.market import SimulatedMarket
from tests.history_oracle import CANDLES, POINTS
from tests.ingestor.conftest import QUICK, Ingest, provider

COINS = 30
Points = dict[datetime, tuple[Decimal, Decimal | None, Decimal | None]]


class Past(Ingest):
    """A market of today, read once: its past is within what history keeps."""

    def __init__(self, pool: Pool, address: Address, csv_path: Path) -> None:
        super().__init__(pool, address, csv_path)
        self.url = address.coingecko_url
        self.simulation = address.simulation
        # Of a smaller budget the polls to come would leave nothing in the first days of a month.
        self.gecko = CoinGecko(
            Fetch(provider("CoinGecko", self.url), QUICK), monthly_calls=1_000_000
        )
        self.sources["coingecko"] = self.gecko

    def asked(self) -> list[str]:
        """The external ids that the provider was asked about, one a request."""
        return [
            request.path.split("/")[2]
            for request in self.simulation.received
            if "chart" in request.path
        ]


@pytest.fixture
async def past(pool: Pool, tmp_path: Path) -> AsyncIterator[Past]:
    async with serving(create_app(SimulatedMarket(COINS, seed=5))) as address:
        opened = Past(pool, address, tmp_path / "none.csv")
        await opened.run("coingecko")
        yield opened
        await opened.close()


async def filled(
    connection: Connection,
    source: NamedBackfills,
    days: int,
    tickers: Sequence[str] | None = None,
    *,
    again: bool = False,
) -> tuple[BackfillPlan, list[BackfillStep]]:
    plan = await plan_backfill(connection, source, days, tickers=tickers, again=again)
    return plan, [step async for step in backfill(connection, source, plan, DEFAULT_RETENTION)]


async def until_it_stops(
    connection: Connection, source: NamedBackfills, plan: BackfillPlan
) -> tuple[list[BackfillStep], Exception]:
    steps = []
    try:
        async for step in backfill(connection, source, plan, DEFAULT_RETENTION):
            steps.append(step)  # noqa: PERF401 - what was done before the error counts
    except (SourceError, BudgetSpentError) as error:
        return steps, error
    raise AssertionError("it went on to its end")


def predicted(market: SimulatedMarket, external_id: str, days: int) -> Points:
    number = market.find("coingecko", external_id)
    assert number is not None
    lines = json.loads(chart(market, number, days, None), parse_float=Decimal, parse_int=Decimal)
    rows = zip(lines["prices"], lines["market_caps"], lines["total_volumes"], strict=True)
    return {
        datetime.fromtimestamp(int(time) / 1000, UTC): (price, cap or None, volume)
        for (time, price), (_, cap), (_, volume) in rows
    }


async def points(past: Past, ticker: str) -> Points:
    rows = await past.rows(
        f"SELECT at, price_usd, market_cap_usd, volume_24h_usd FROM {POINTS} AS p "
        "WHERE ticker = $1",
        ticker,
    )
    return {at: (price, cap, volume) for at, price, cap, volume in rows}  # type: ignore[misc]  # the statement's types


@pytest.mark.parametrize("days", [1, 30])
async def test_every_point_of_the_chart_is_in_the_history_digit_by_digit(
    past: Past, connection: Connection, days: int
) -> None:
    before = await points(past, "BTC")
    assert len(before) == 1
    _, steps = await filled(connection, past.gecko, days)
    expected = predicted(past.market, "bitcoin", days)
    assert len(expected) > 250
    assert await points(past, "BTC") == {**expected, **before}
    [btc] = [step.answer for step in steps if step.coin.ticker == "BTC"]
    assert (btc.external_id, btc.kind, btc.points) == (
        "bitcoin",
        "filled",
        len(expected.keys() - before.keys()),
    )


async def test_candles_are_those_of_the_points(past: Past, connection: Connection) -> None:
    await filled(connection, past.gecko, 7, ["BTC"])
    all_points = sorted(await points(past, "BTC"))
    prices = await points(past, "BTC")
    days: dict[datetime, list[Decimal]] = {}
    for at in all_points:
        days.setdefault(at.replace(hour=0, minute=0, second=0, microsecond=0), []).append(
            prices[at][0]
        )
    expected = [(day, p[0], max(p), min(p), p[-1], len(p)) for day, p in days.items()]
    assert len(expected) >= 7
    candles = await past.rows(
        f"SELECT start, open, high, low, close, samples FROM {CANDLES} AS c "
        "WHERE ticker = 'BTC' AND interval = 'D1' ORDER BY 1"
    )
    assert candles == expected


async def test_the_present_and_points_that_are_there_stay(
    past: Past, connection: Connection
) -> None:
    coins = "SELECT * FROM normalized_records ORDER BY ticker"
    present, listings = (
        await past.rows(coins),
        await past.rows("SELECT * FROM listings ORDER BY 1, 2"),
    )
    at = next(iter(predicted(past.market, "bitcoin", 3)))
    await past.value(
        "INSERT INTO price_points (listing, at, fetched_at, price_usd, market_cap_usd, "
        "volume_24h_usd) SELECT id, $1, $1, 1.5, 2.5, 3.5 FROM listings WHERE ticker = 'BTC'",
        at,
    )
    await filled(connection, past.gecko, 3)
    assert await past.rows(coins) == present
    assert await past.rows("SELECT * FROM listings ORDER BY 1, 2") == listings
    kept = (
        f"SELECT price_usd, market_cap_usd, volume_24h_usd FROM {POINTS} AS p "
        "WHERE ticker = 'BTC' AND at = $1"
    )
    assert await past.rows(kept, at) == [(Decimal("1.5"), Decimal("2.5"), Decimal("3.5"))]


async def test_what_history_does_not_keep_is_left_out(past: Past, connection: Connection) -> None:
    await filled(connection, past.gecko, 365, ["BTC"])
    oldest = await past.value(f"SELECT min(at) FROM {POINTS} AS p WHERE ticker = 'BTC'")
    assert isinstance(oldest, datetime)
    assert timedelta(days=88) < utc_now() - oldest <= timedelta(days=90)
    assert await past.value("SELECT count(*) FROM price_points_default") == 0


async def test_the_largest_coins_come_first_and_each_is_asked_about_once(
    past: Past, connection: Connection
) -> None:
    _, steps = await filled(connection, past.gecko, 2)
    tickers = [step.coin.ticker for step in steps]
    largest = (
        "SELECT ticker FROM normalized_records ORDER BY market_cap_usd DESC NULLS LAST, ticker"
    )
    assert [(ticker,) for ticker in tickers] == await past.rows(largest)
    assert past.asked() == [step.coin.external_id for step in steps]
    assert len(set(tickers)) == len(tickers)


async def test_who_shows_candles_is_told_that_they_changed(
    past: Past, connection: Connection
) -> None:
    seq = await past.value("SELECT max(seq) FROM events")
    await filled(connection, past.gecko, 2, ["BTC", "ETH"])
    told = await past.rows("SELECT kind, tickers FROM events WHERE seq > $1 ORDER BY seq", seq)
    assert told == [("coins_changed", ["BTC"]), ("coins_changed", ["ETH"])]
    await filled(connection, past.gecko, 2, ["BTC", "ETH"], again=True)
    assert await past.value("SELECT count(*) FROM events WHERE seq > $1", seq) == 2


async def test_a_finished_backfill_makes_no_calls_that_day_unless_told_to(
    past: Past, connection: Connection
) -> None:
    _, first = await filled(connection, past.gecko, 2)
    calls = len(past.asked())
    plan, second = await filled(connection, past.gecko, 2)
    assert (plan.coins, plan.answered, second, len(past.asked())) == ([], len(first), [], calls)
    assert len((await filled(connection, past.gecko, 3))[1]) == len(
        first
    )  # other days are another question
    _, again = await filled(connection, past.gecko, 2, again=True)
    assert len(again) == len(first)
    assert {step.answer.points for step in again} == {0}


@pytest.mark.parametrize(
    ("days_ago", "pending", "asked_again"),
    [
        (0, 0, 0),
        (0, 2, 2),
        (1, 0, "all"),
        (1, 2, 2),
        (6, 2, 2),
        (7, 2, "all"),  # nothing of that window is left
        (7, 0, "all"),
    ],
)
async def test_an_unfinished_backfill_is_gone_on_with_and_a_finished_one_begins_anew_on_another_day(
    past: Past, connection: Connection, days_ago: int, pending: int, asked_again: int | str
) -> None:
    _, steps = await filled(connection, past.gecko, 7)
    await past.value("UPDATE backfills SET window_end = window_end - $1::integer", days_ago)
    await past.value(
        "UPDATE backfills SET outcome = 'pending', points = 0, answered_at = NULL WHERE "
        "external_id = ANY ($1)",
        [step.coin.external_id for step in steps[:pending]],
    )
    plan = await plan_backfill(connection, past.gecko, 7)
    assert len(plan.coins) == (len(steps) if asked_again == "all" else asked_again)
    assert plan.answered == len(steps) - len(plan.coins)


async def test_a_backfill_of_one_coin_leaves_that_of_all_where_it_is(
    past: Past, connection: Connection
) -> None:
    plan = await plan_backfill(connection, past.gecko, 7)
    await past.value("UPDATE backfills SET window_end = window_end - 2")
    _, [btc] = await filled(connection, past.gecko, 7, ["BTC"])
    assert btc.coin.external_id == "bitcoin"
    rest = await plan_backfill(connection, past.gecko, 7)
    assert rest.coins == [coin for coin in plan.coins if coin.ticker != "BTC"]


async def test_a_rival_of_the_ticker_is_not_asked_about(past: Past, connection: Connection) -> None:
    await past.value("UPDATE listings SET contributes = false WHERE external_id = 'bitcoin'")
    with pytest.raises(BackfillRefusedError, match=r"coingecko has no coin with the ticker BTC$"):
        await plan_backfill(connection, past.gecko, 1, tickers=["BTC", "ETH"])
    assert await past.value("SELECT count(*) FROM backfills") == 0
    assert "bitcoin" not in {
        coin.external_id for coin in (await plan_backfill(connection, past.gecko, 1)).coins
    }


async def test_without_a_coin_there_is_nothing_to_ask(past: Past, connection: Connection) -> None:
    await past.value("TRUNCATE listings")
    with pytest.raises(
        BackfillRefusedError, match="run `kasparro ingest --once --source coingecko`"
    ):
        await plan_backfill(connection, past.gecko, 1)


async def test_a_coin_that_the_provider_does_not_know_is_skipped_and_said(
    past: Past, connection: Connection
) -> None:
    past.market.delist("coingecko", "bitcoin")
    past.fault("wrong_type", route="/coins/ethereum/market_chart")
    _, steps = await filled(connection, past.gecko, 1)
    kinds = {step.coin.ticker: step.answer.kind for step in steps}
    assert (kinds.pop("BTC"), kinds.pop("ETH"), set(kinds.values())) == (
        "missing",
        "unreadable",
        {"filled"},
    )
    messages = {step.coin.ticker: step.message for step in steps if step.message}
    assert "(404): coin not found" in messages["BTC"]
    assert messages["ETH"].startswith("CoinGecko sent no chart of ethereum: ")
    assert (await plan_backfill(connection, past.gecko, 1)).coins == []
    assert await past.value("SELECT count(*) FROM backfills WHERE answered_at IS NULL") == 0


async def test_an_address_that_knows_no_coin_stops_it_and_costs_no_coin_its_answer(
    past: Past, connection: Connection
) -> None:
    lost = CoinGecko(
        Fetch(provider("CoinGecko", f"{past.url}/elsewhere"), QUICK), monthly_calls=1_000_000
    )
    plan = await plan_backfill(connection, lost, 1)
    steps, error = await until_it_stops(connection, lost, plan)
    assert isinstance(error, SourceRefusedError)
    assert re.search(
        r"10 coins in a row could not be read, the last one: .*Incorrect path", str(error)
    )
    await lost.close()
    assert {step.answer.kind for step in steps} == {"missing"}
    assert len(steps) == MAX_SKIPPED_IN_A_ROW - 1
    assert (await plan_backfill(connection, past.gecko, 1)).coins == plan.coins


async def test_a_provider_that_is_down_stops_it_and_what_was_done_stays(
    past: Past, connection: Connection
) -> None:
    past.fault("status", route="*market_chart", after=3, times=None)
    plan = await plan_backfill(connection, past.gecko, 1)
    steps, error = await until_it_stops(connection, past.gecko, plan)
    assert isinstance(error, SourceUnavailableError)
    assert re.search("it answered 503", str(error))
    assert [step.coin for step in steps] == plan.coins[:3]
    past.simulation.faults.clear()
    assert (await plan_backfill(connection, past.gecko, 1)).coins == plan.coins[3:]


async def test_a_coin_is_written_whole_or_not_at_all(past: Past, connection: Connection) -> None:
    await past.value(
        "ALTER TABLE events ADD CONSTRAINT broken CHECK (tickers IS DISTINCT FROM '{ETH}')"
    )
    before = await past.value(f"SELECT count(*) FROM {POINTS} AS p WHERE ticker = 'ETH'")
    plan = await plan_backfill(connection, past.gecko, 1)
    with pytest.raises(asyncpg.CheckViolationError):
        await until_it_stops(connection, past.gecko, plan)
    assert await past.value(f"SELECT count(*) FROM {POINTS} AS p WHERE ticker = 'ETH'") == before
    pending = "SELECT outcome = 'pending' FROM backfills WHERE external_id = $1"
    assert [await past.value(pending, name) for name in ("bitcoin", "ethereum")] == [False, True]
    await past.value("ALTER TABLE events DROP CONSTRAINT broken")
    _, steps = await filled(connection, past.gecko, 1)
    assert steps[0].coin.external_id == "ethereum"


async def test_a_retry_is_a_call_too(past: Past, connection: Connection) -> None:
    past.fault("status", route="*market_chart", status=429, retry_after=0)
    before = await count_calls(connection, "coingecko", utc_now())
    _, steps = await filled(connection, past.gecko, 1)
    assert (
        await count_calls(connection, "coingecko", utc_now()) - before
        == len(steps) + 1
        == len(past.asked())
    )


async def test_it_stops_when_only_the_calls_of_the_polls_are_left(
    past: Past, connection: Connection
) -> None:
    used = 3
    source = CoinGecko(past.gecko._fetch, page_count=1, poll_seconds=31 * 86_400, monthly_calls=6)
    await past.value("TRUNCATE api_calls")
    await add_calls(connection, "coingecko", used, utc_now())
    plan = await plan_backfill(connection, source, 1)
    assert plan.spare_calls == 2  # 6 less the 3 that were made and the poll to come
    steps, error = await until_it_stops(connection, source, plan)
    assert isinstance(error, BudgetSpentError)
    assert re.search(r"no calls left this month .*\(COINGECKO_MONTHLY_CALLS\)", str(error))
    assert ([step.coin for step in steps], len(past.asked())) == (plan.coins[:2], 2)
    assert await count_calls(connection, "coingecko", utc_now()) == used + 2
    assert (await plan_backfill(connection, source, 1)).coins == plan.coins[2:]


class Archive:
    """The least that a source needs to tell the past: no budget, no HTTP."""

    name = "coingecko"

    async def history(self, external_id: str, days: int) -> list[PastPrice]:
        return [
            PastPrice(external_id, utc_now() - timedelta(days=days / 2), Decimal(7), None, None)
        ]


async def test_a_source_without_a_budget_needs_one_method_only(
    past: Past, connection: Connection
) -> None:
    plan, steps = await filled(connection, Archive(), 4, ["BTC"])
    assert (plan.spare_calls, [step.answer.points for step in steps]) == (None, [1])
    assert (Decimal(7), None, None) in (await points(past, "BTC")).values()


async def test_one_backfill_of_a_source_at_a_time_and_its_polls_go_on(
    past: Past, connection: Connection
) -> None:
    async with exclusive_backfill(connection, "coingecko"):
        assert (await past.run("coingecko")).status == "success"
        async with past.pool.acquire() as other:
            with pytest.raises(
                BackfillRefusedError, match="another backfill of coingecko is under way"
            ):
                async with exclusive_backfill(other, "coingecko"):
                    pass
            async with exclusive_backfill(other, "coinpaprika"):
                pass
    async with past.pool.acquire() as other, exclusive_backfill(other, "coingecko"):
        pass
