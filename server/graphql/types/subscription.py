"""The type Subscription: runs and coins as they change, from the outbox, resumable by cursor."""

import enum
from collections.abc import AsyncIterator, Sequence
from typing import Annotated, NamedTuple

import strawberry

from db.read.coins import CoinRow
from db.read.runs import RunRow
from server.graphql.execution.errors import bad_input
from server.graphql.relay.cursors import decode_words
from server.graphql.types.arguments import (
    checked_text,
    checked_texts,
    checked_ticker,
    or_none,
)
from server.graphql.types.coin import Coin
from server.graphql.types.fields import streamed
from server.graphql.types.run import Run
from server.limits.estimates import METADATA_KEY, Estimate
from server.limits.rows import COINS_PER_MESSAGE
from server.live.feed import COINS, RUNS, Feed, FeedPosition

_MAX_BIGINT = 2**63 - 1  # PostgreSQL's bigint
_UNSET = strawberry.UNSET


@strawberry.enum(description="What happened to a run.")
class RunUpdateType(enum.Enum):
    """The values are those of events.kind."""

    STARTED = strawberry.enum_value("run_started", description="The run started.")
    PROGRESS = strawberry.enum_value("run_progress", description="Another page was stored.")
    FINISHED = strawberry.enum_value("run_finished", description="The run ended.")


class RunUpdateValue(NamedTuple):
    """A RunUpdate at run time."""

    cursor: str
    type: str
    run: RunRow


class CoinUpdateValue(NamedTuple):
    """A CoinUpdate at run time."""

    cursor: str
    coins: list[CoinRow]
    lagged: int


@strawberry.type(description="A change of a run.")
class RunUpdate:
    """Its value is a `RunUpdateValue`."""

    cursor: str = strawberry.field(
        description="The cursor for `after`, to resume after this message."
    )
    type: RunUpdateType = strawberry.field(description="What happened.")
    run: Run = strawberry.field(description="The run after the change.")


@strawberry.type(description="Coins that one commit changed.")
class CoinUpdate:
    """Its value is a `CoinUpdateValue`."""

    cursor: str = strawberry.field(
        description="The cursor for `after`, to resume after this message."
    )
    coins: list[Coin] = strawberry.field(
        description="The coins as they are now, by ticker.",
        metadata={METADATA_KEY: Estimate(rows=COINS_PER_MESSAGE)},
    )
    lagged: int = strawberry.field(
        description="Updates left out because this subscriber was too slow; 0 in a complete stream."
    )


def decode_position(cursor: str) -> FeedPosition | None:
    """Return the position in a cursor; None where it is not a cursor."""
    try:
        words = decode_words(cursor)
    except ValueError:
        words = None
    match words:
        case [int(seq), None | str() as ticker] if 0 <= seq <= _MAX_BIGINT:
            return FeedPosition(seq, ticker)
    return None


def _after(cursor: str | None) -> FeedPosition | None:
    """Return where a subscription starts. Raises GraphQLError."""
    if cursor is None:
        return None
    position = decode_position(cursor)
    if position is None:
        raise bad_input("after", "is not a cursor of this subscription")
    return position


def _run_updates(
    *,
    source: Annotated[
        str | None, strawberry.argument(description="Only runs of this source.")
    ] = _UNSET,
    after: Annotated[
        str | None, strawberry.argument(description="The cursor of the last message received.")
    ] = _UNSET,
) -> Feed:
    name = or_none(source)
    if name is not None:
        checked_text(name, "source")
    return Feed(RUNS, None if name is None else frozenset({name}), _after(or_none(after)))


def _checked_tickers(tickers: Sequence[str] | None) -> frozenset[str] | None:
    if tickers is None:
        return None
    checked = frozenset(
        checked_ticker(ticker, "tickers") for ticker in checked_texts(tickers, "tickers")
    )
    if not checked:
        raise bad_input("tickers", "must name at least one ticker; leave it out for all")
    return checked


def _coin_updates(
    *,
    tickers: Annotated[
        list[str] | None,
        strawberry.argument(
            description="Only these tickers, in upper or lower case; at most 1,000."
        ),
    ] = _UNSET,
    after: Annotated[
        str | None, strawberry.argument(description="The cursor of the last message received.")
    ] = _UNSET,
) -> Feed:
    return Feed(COINS, _checked_tickers(or_none(tickers)), _after(or_none(after)))


@strawberry.type(description="Streams of changes.")
class Subscription:
    """The root of subscriptions."""

    run_updates: AsyncIterator[RunUpdate] = streamed(
        _run_updates,
        "Runs as they start, advance and finish;"
        " with `after`, first the updates that were missed since that cursor.",
    )
    coin_updates: AsyncIterator[CoinUpdate] = streamed(
        _coin_updates,
        "Coins whose values changed, one message for each commit"
        f" (several for a commit of more than {COINS_PER_MESSAGE:,} coins);"
        " with `after`, first the updates that were missed since that cursor.",
    )
