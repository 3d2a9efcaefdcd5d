"""Backfill: the past of a source's coins into their history, coin by coin, one call and one transaction each.

What was answered is durable, so a backfill that is killed, or that has used up the month's calls,
goes on where it ended.
"""

import contextlib
import datetime
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping, Sequence
from typing import Protocol

import msgspec

from db.connect.clock import database_now
from db.connect.locks import end_when_idle, release_source_lock, take_write_lock, try_source_lock
from db.connect.pool import is_lost
from db.connect.types import Connection
from db.events import add_coins_event, notify_events
from db.schema.partitions import Retention, ensure_partitions
from db.write.api_calls import add_calls, count_calls
from db.write.backfill import (
    Answer,
    PastCoin,
    Question,
    Window,
    ask,
    past_coins,
    questions,
    save_answers,
)
from db.write.history import PastPrice, backfill_prices
from ingestor.clock import utc_now
from ingestor.run.heartbeat import IDLE_SECONDS, kept_alive
from ingestor.sources.errors import SourceMalformedError, SourceMissingError, SourceRefusedError
from ingestor.sources.records import SupportsBackfill, SupportsCallBudget

MOST_SKIPPED_IN_A_ROW = 10
"""So many coins in a row that cannot be read are no coins' fault: the address is wrong, or the provider is."""


class BackfillRefusedError(Exception):
    """The backfill cannot begin; the message says why."""


class BudgetSpentError(Exception):
    """The month has no calls left beside those of the polls; the message says so."""


class NamedBackfills(SupportsBackfill, Protocol):
    """A source that can tell the past, and its name."""

    name: str


class BackfillPlan(msgspec.Struct, frozen=True):
    """What a backfill is to do: `coins` are to be asked about, `answered` more were so already.

    `spare_calls` is what the month's budget bears beside the polls, None where there is no budget.
    """

    window: Window
    coins: list[PastCoin]
    answered: int
    spare_calls: int | None


class BackfillStep(msgspec.Struct, frozen=True):
    """What came of one coin; `message` says why nothing could be read."""

    coin: PastCoin
    answer: Answer
    message: str | None = None


@contextlib.asynccontextmanager
async def exclusively(connection: Connection, source: str) -> AsyncIterator[None]:
    """Be the only backfill of `source`; its polls go on. Raises BackfillRefusedError."""
    name = f"backfill of {source}"  # no source's name has a space
    if not await try_source_lock(connection, name):
        raise BackfillRefusedError(f"another backfill of {source} is at work: wait for it to end")
    await end_when_idle(connection, IDLE_SECONDS)
    try:
        yield
    finally:
        if not is_lost(connection):
            await release_source_lock(connection, name)


async def plan(
    connection: Connection,
    source: NamedBackfills,
    days: int,
    *,
    tickers: Collection[str] | None = None,
    again: bool = False,
) -> BackfillPlan:
    """Write down what is to be asked about the last `days` days of all coins, or of `tickers`, and return it.

    `again` asks about every coin anew. Raises BackfillRefusedError where there is no coin to ask
    about.
    """
    window = Window(source.name, days, utc_now().date())
    coins = await past_coins(connection, source.name, tickers)
    _check(source.name, coins, tickers)
    asked = {} if again else await questions(connection, window)
    unasked = _unasked(coins, asked, window)
    await ask(connection, window, unasked)
    todo = [
        coin for coin in coins if coin.external_id in unasked or asked[coin.external_id].pending
    ]
    return BackfillPlan(
        window, todo, len(coins) - len(todo), await _spare_calls(connection, source)
    )


def _check(source: str, coins: Sequence[PastCoin], tickers: Collection[str] | None) -> None:
    if not coins and tickers is None:
        raise BackfillRefusedError(
            f"no coin of {source} is known yet: run `kasparro ingest --once --source {source}`"
        )
    known = {coin.ticker for coin in coins}
    unknown = [ticker for ticker in tickers or () if ticker not in known]
    if unknown:
        raise BackfillRefusedError(f"{source} has no coin with the ticker {', '.join(unknown)}")


def _unasked(coins: Sequence[PastCoin], asked: Mapping[str, Question], window: Window) -> set[str]:
    """Return the external ids of the coins that need a new question.

    A finished backfill is good for its day. An unfinished one is gone on with until nothing of its
    window is left, and what it has been answered counts as long.
    """
    last = {coin.external_id: asked.get(coin.external_id) for coin in coins}
    expired = window.end - datetime.timedelta(days=window.days)
    unfinished = any(
        question is not None and question.pending and question.end > expired
        for question in last.values()
    )
    good_from = expired + datetime.timedelta(days=1) if unfinished else window.end
    return {
        external_id
        for external_id, question in last.items()
        if question is None or question.end < good_from
    }


async def backfill(
    connection: Connection, source: NamedBackfills, wanted: BackfillPlan, retention: Retention
) -> AsyncGenerator[BackfillStep, None]:
    """Ask about the coins of a plan, one by one, and yield what came of each.

    Raises SourceError when the provider is down or refuses us, BudgetSpentError; what was done
    until then stays.
    """
    now = await database_now(connection)
    await ensure_partitions(connection, now, retention)
    skipped: list[Answer] = []
    for coin in wanted.coins:
        try:
            prices = await _ask(connection, source, coin, wanted.window.days)
        except (SourceMissingError, SourceMalformedError) as error:
            answer = Answer(
                coin.external_id,
                "missing" if isinstance(error, SourceMissingError) else "unreadable",
            )
            skipped.append(answer)
            if len(skipped) >= MOST_SKIPPED_IN_A_ROW:
                # Their questions stay pending: they are asked about again once the cause is mended.
                raise SourceRefusedError(
                    f"{len(skipped)} coins in a row could not be read, the last one: {error}"
                ) from None
            yield BackfillStep(coin, answer, str(error))
        else:
            answer = await _write(
                connection,
                wanted.window,
                coin,
                prices,
                skipped=skipped,
                oldest=retention.oldest_history(now),
            )
            skipped = []
            yield BackfillStep(coin, answer)
    await save_answers(connection, wanted.window, skipped, utc_now())


async def _spare_calls(connection: Connection, source: NamedBackfills) -> int | None:
    if not isinstance(source, SupportsCallBudget):
        return None
    now = utc_now()
    return source.spare_calls(await count_calls(connection, source.name, now), now)


async def _ask(
    connection: Connection, source: NamedBackfills, coin: PastCoin, days: int
) -> list[PastPrice]:
    """Return a coin's past. Raises SourceError, BudgetSpentError.

    Each call is counted before it is made, its retries too, so that a kill never leaves one
    uncounted.
    """
    if not isinstance(source, SupportsCallBudget):
        async with kept_alive(connection):
            return await source.history(coin.external_id, days)
    spare = await _spare_calls(connection, source)
    if not spare:
        raise BudgetSpentError(
            f"{source.name} has no calls left this month beside those of the polls to come ({source.budget_variable}); "
            "the same command goes on when it has"
        )
    async with kept_alive(connection) as turn:

        async def count() -> None:
            async with turn:
                await add_calls(connection, source.name, 1, utc_now())

        source.count_calls(count)
        try:
            return await source.history(coin.external_id, days)
        finally:
            source.count_calls(None)


async def _write(
    connection: Connection,
    window: Window,
    coin: PastCoin,
    prices: Sequence[PastPrice],
    *,
    skipped: Sequence[Answer],
    oldest: datetime.datetime,
) -> Answer:
    """Write a coin's points and that it has answered, with the coins before it that could not be read."""
    now = utc_now()
    async with connection.transaction():
        await take_write_lock(connection)
        points = await backfill_prices(connection, window.source, prices, oldest)
        answer = Answer(coin.external_id, "filled", points)
        await save_answers(connection, window, [*skipped, answer], now)
        if points:
            # The coin is the same, its candles are not: whoever shows them looks again.
            await add_coins_event(connection, [coin.ticker], now)
            await notify_events(connection)
    return answer
