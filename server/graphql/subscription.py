"""The type Subscription: runs and coins as they change, from the outbox, resumable by cursor."""

import enum
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Annotated, NamedTuple

import strawberry

from db.coin_pages import CoinRow, coins_by_ticker
from db.events import Event
from db.run_pages import RunRow, run_from_event
from server.graphql.arguments import checked_text, checked_texts, checked_ticker, given
from server.graphql.coin import Coin
from server.graphql.context import Context, Info
from server.graphql.cursors import decode_words, encode_words
from server.graphql.errors import bad_input
from server.graphql.fields import streamed
from server.graphql.run import Run
from server.limits.rows import COINS_PER_MESSAGE

_LARGEST = 2**63 - 1  # PostgreSQL's bigint
_RUN_KINDS = frozenset({"run_started", "run_progress", "run_finished"})
_COIN_KINDS = frozenset({"coins_changed"})
_UNSET = strawberry.UNSET


@strawberry.enum(description="What happened to a run.")
class RunUpdateType(enum.Enum):
    """The values are those of events.kind."""

    STARTED = strawberry.enum_value("run_started", description="It began.")
    PROGRESS = strawberry.enum_value("run_progress", description="Another page is stored.")
    FINISHED = strawberry.enum_value("run_finished", description="It ended.")


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


@strawberry.type(description="A run at one moment.")
class RunUpdate:
    """Its value is a `RunUpdateValue`."""

    cursor: str = strawberry.field(description="Give it as `after` to go on from here.")
    type: RunUpdateType = strawberry.field(description="What happened.")
    run: Run = strawberry.field(description="The run as it stood then.")


@strawberry.type(description="Coins that one commit changed.")
class CoinUpdate:
    """Its value is a `CoinUpdateValue`."""

    cursor: str = strawberry.field(description="Give it as `after` to go on from here.")
    coins: list[Coin] = strawberry.field(description="The coins as they are now, by ticker.")
    lagged: int = strawberry.field(
        description="Updates left out because this subscriber was too slow; 0 in a complete stream."
    )


class Place(NamedTuple):
    """Where a subscriber stands: after the event `seq`, or within it, after its coin `ticker`."""

    seq: int
    ticker: str | None

    @property
    def after(self) -> int:
        """The sequence number from which the outbox is read on."""
        return self.seq if self.ticker is None else self.seq - 1


def _place(cursor: str | None) -> Place | None:
    """Return what a cursor stands for. Raises GraphQLError."""
    if cursor is None:
        return None
    try:
        words = decode_words(cursor)
    except ValueError:
        words = None
    match words:
        case [int(seq), None | str() as ticker] if 0 <= seq <= _LARGEST:
            return Place(seq, ticker)
    raise bad_input("after", "is no cursor of this subscription")


async def _run_updates(
    info: Info,
    *,
    source: Annotated[str | None, strawberry.argument(description="Only runs of this source.")] = _UNSET,
    after: Annotated[str | None, strawberry.argument(description="The cursor of the last message seen.")] = _UNSET,
) -> AsyncIterator[RunUpdateValue]:
    wanted = given(source)
    if wanted is not None:
        checked_text(wanted, "source")
    place = _place(given(after))
    after_seq = None if place is None else place.after
    # A RunUpdate has no field to tell of what was left out.
    async with info.context.hub.subscribe(_RUN_KINDS, after_seq, complete=True) as events:
        async for event in events:
            if event.run is not None and wanted in (None, event.run["source"]):
                yield RunUpdateValue(encode_words(event.seq, None), event.kind, run_from_event(event.run))


def _wanted_tickers(tickers: Sequence[str] | None) -> frozenset[str] | None:
    if tickers is None:
        return None
    wanted = frozenset(checked_ticker(ticker, "tickers") for ticker in checked_texts(tickers, "tickers"))
    if not wanted:
        raise bad_input("tickers", "must name at least one ticker; leave it out for all")
    return wanted


def _messages(event: Event, wanted: frozenset[str] | None, place: Place | None) -> Iterator[tuple[str, list[str]]]:
    """Yield the cursor and the tickers of each message about an event: those that are wanted and not yet seen."""
    tickers = sorted(ticker for ticker in event.tickers or () if wanted is None or ticker in wanted)
    if place is not None and place.seq == event.seq and place.ticker is not None:
        tickers = [ticker for ticker in tickers if ticker > place.ticker]
    for start in range(0, len(tickers), COINS_PER_MESSAGE):
        part = tickers[start : start + COINS_PER_MESSAGE]
        is_last = start + COINS_PER_MESSAGE >= len(tickers)
        yield encode_words(event.seq, None if is_last else part[-1]), part


async def _read_coins(context: Context, tickers: list[str]) -> list[CoinRow]:
    # From the primary: a replica may not yet hold what the event tells of.
    async with context.state.writing() as connection:
        found = await coins_by_ticker(connection, tickers)
    # One that is gone was renamed by its source since.
    return [found[ticker] for ticker in tickers if ticker in found]


async def _coin_updates(
    info: Info,
    *,
    tickers: Annotated[
        list[str] | None, strawberry.argument(description="Only these, in upper or lower case; at most 1,000.")
    ] = _UNSET,
    after: Annotated[str | None, strawberry.argument(description="The cursor of the last message seen.")] = _UNSET,
) -> AsyncIterator[CoinUpdateValue]:
    wanted, place = _wanted_tickers(given(tickers)), _place(given(after))
    async with info.context.hub.subscribe(_COIN_KINDS, None if place is None else place.after) as events:
        async for event in events:
            for cursor, part in _messages(event, wanted, place):
                coins = await _read_coins(info.context, part)
                yield CoinUpdateValue(cursor, coins, events.take_lagged())


@strawberry.type(description="What can be followed as it happens.")
class Subscription:
    """The root of subscriptions."""

    run_updates: AsyncIterator[RunUpdate] = streamed(
        _run_updates,
        "Runs as they start, advance and finish; with `after`, first what was missed since that cursor.",
    )
    coin_updates: AsyncIterator[CoinUpdate] = streamed(
        _coin_updates,
        "Coins whose values changed, one message a commit"
        f" (several for one of more than {COINS_PER_MESSAGE:,} coins);"
        " with `after`, first what was missed since that cursor.",
    )
