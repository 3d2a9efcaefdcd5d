"""Backfill the history of a source's coins, with one call and one transaction for each coin.

Answers are durable, so a backfill that is killed, or that has used up the month's calls, resumes
where it ended.
"""

import contextlib
import datetime
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping, Sequence
from typing import Protocol

import msgspec

from db.connect.clock import database_now
from db.connect.locks import end_when_idle, release_source_lock, try_source_lock
from db.connect.pool import is_lost
from db.connect.types import Connection
from db.schema.partitions import Retention, ensure_partitions
from db.write.api_calls import add_calls, count_calls
from db.write.backfill import (
    Answer,
    PastCoin,
    PastPrice,
    Question,
    Window,
    backfill_prices,
    past_coins,
    read_questions,
    save_answers,
    save_questions,
)
from db.write.transaction import write_transaction
from ingestor.clock import utc_now
from ingestor.run.heartbeat import IDLE_SECONDS, keep_alive
from ingestor.sources.errors import SourceMalformedError, SourceMissingError, SourceRefusedError
from ingestor.sources.records import SupportsBackfill, SupportsCallBudget

MAX_SKIPPED_IN_A_ROW = 10
"""With so many unreadable coins in a row, the address or the provider is wrong, not a coin."""


class BackfillRefusedError(Exception):
    """The backfill cannot start; the message says why."""


class BudgetSpentError(Exception):
    """The month's budget has no calls left beside those of the polls."""


class NamedBackfills(SupportsBackfill, Protocol):
    """A source that has past prices, and its name."""

    name: str


class BackfillPlan(msgspec.Struct, frozen=True):
    """The coins of a backfill that need an answer; `answered` is how many have one already.

    `spare_calls` is the month's budget without the polls' calls, None without a budget.
    """

    window: Window
    coins: list[PastCoin]
    answered: int
    spare_calls: int | None


class BackfillStep(msgspec.Struct, frozen=True):
    """The answer for one coin; `message` says why it could not be read."""

    coin: PastCoin
    answer: Answer
    message: str | None = None


@contextlib.asynccontextmanager
async def exclusive_backfill(connection: Connection, source: str) -> AsyncIterator[None]:
    """Lock out other backfills of `source`, not its polls. Raises BackfillRefusedError."""
    name = f"backfill of {source}"  # no source's name has a space
    if not await try_source_lock(connection, name):
        raise BackfillRefusedError(f"another backfill of {source} is under way: wait for it to end")
    await end_when_idle(connection, IDLE_SECONDS)
    try:
        yield
    finally:
        if not is_lost(connection):
            await release_source_lock(connection, name)


async def plan_backfill(
    connection: Connection,
    source: NamedBackfills,
    days: int,
    *,
    tickers: Collection[str] | None = None,
    again: bool = False,
) -> BackfillPlan:
    """Save and return the questions about the last `days` days of all coins, or of `tickers`.

    `again` repeats answered questions. Raises BackfillRefusedError without a coin.
    """
    window = Window(source.name, days, utc_now().date())
    coins = await past_coins(connection, source.name, tickers)
    _check(source.name, coins, tickers)
    questions = {} if again else await read_questions(connection, window)
    new = _new_questions(coins, questions, window)
    await save_questions(connection, window, new)
    todo = [
        coin for coin in coins if coin.external_id in new or questions[coin.external_id].pending
    ]
    return BackfillPlan(
        window, todo, len(coins) - len(todo), await _spare_calls(connection, source)
    )


def _check(source: str, coins: Sequence[PastCoin], tickers: Collection[str] | None) -> None:
    if not coins and tickers is None:
        raise BackfillRefusedError(
            f"no coin of {source} is known yet: run `kasparro ingest --once --source {source}`"
        )
    available = {coin.ticker for coin in coins}
    unknown = [ticker for ticker in tickers or () if ticker not in available]
    if unknown:
        raise BackfillRefusedError(f"{source} has no coin with the ticker {', '.join(unknown)}")


def _new_questions(
    coins: Sequence[PastCoin], questions: Mapping[str, Question], window: Window
) -> set[str]:
    """Return the external ids of the coins that need a new question.

    The answers of a finished backfill are valid for its day. An unfinished one is resumed, and its
    answers are valid, until its window has passed.
    """
    last = {coin.external_id: questions.get(coin.external_id) for coin in coins}
    expired = window.end - datetime.timedelta(days=window.days)
    unfinished = any(
        question is not None and question.pending and question.end > expired
        for question in last.values()
    )
    valid_from = expired + datetime.timedelta(days=1) if unfinished else window.end
    return {
        external_id
        for external_id, question in last.items()
        if question is None or question.end < valid_from
    }


async def backfill(
    connection: Connection, source: NamedBackfills, plan: BackfillPlan, retention: Retention
) -> AsyncGenerator[BackfillStep, None]:
    """Ask about the coins of a plan, one by one, and yield a step for each.

    Raises SourceError if the provider is down or refuses the request, and BudgetSpentError; the
    steps before it are stored.
    """
    now = await database_now(connection)
    await ensure_partitions(connection, now, retention)
    skipped: list[Answer] = []
    for coin in plan.coins:
        try:
            prices = await _ask(connection, source, coin, plan.window.days)
        except (SourceMissingError, SourceMalformedError) as error:
            answer = Answer(
                coin.external_id,
                "missing" if isinstance(error, SourceMissingError) else "unreadable",
            )
            skipped.append(answer)
            if len(skipped) >= MAX_SKIPPED_IN_A_ROW:
                # Their questions stay pending, so the next backfill repeats them.
                raise SourceRefusedError(
                    f"{len(skipped)} coins in a row could not be read, the last one: {error}"
                ) from None
            yield BackfillStep(coin, answer, str(error))
        else:
            answer = await _write(
                connection,
                plan.window,
                coin,
                prices,
                skipped=skipped,
                oldest=retention.oldest_history(now),
            )
            skipped = []
            yield BackfillStep(coin, answer)
    await save_answers(connection, plan.window, skipped, utc_now())


async def _spare_calls(connection: Connection, source: NamedBackfills) -> int | None:
    if not isinstance(source, SupportsCallBudget):
        return None
    now = utc_now()
    return source.spare_calls(await count_calls(connection, source.name, now), now)


async def _ask(
    connection: Connection, source: NamedBackfills, coin: PastCoin, days: int
) -> list[PastPrice]:
    """Return a coin's past. Raises SourceError, BudgetSpentError.

    Each call, and each retry, is counted before it is made, so that a kill leaves none uncounted.
    """
    if not isinstance(source, SupportsCallBudget):
        async with keep_alive(connection):
            return await source.history(coin.external_id, days)
    spare = await _spare_calls(connection, source)
    if not spare:
        raise BudgetSpentError(
            f"{source.name} has no calls left this month beside those of the polls to come "
            f"({source.budget_variable}); the same command goes on when it has"
        )
    async with keep_alive(connection) as turn:

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
    """Write a coin's points and its answer, and the answers of the coins skipped before it."""
    now = utc_now()
    async with write_transaction(connection) as outbox:
        points = await backfill_prices(connection, window.source, prices, oldest)
        answer = Answer(coin.external_id, "filled", points)
        await save_answers(connection, window, [*skipped, answer], now)
        if points:
            # The coin has not changed, but its candles have: clients read them again.
            await outbox.add_coins([coin.ticker], now)
    return answer
