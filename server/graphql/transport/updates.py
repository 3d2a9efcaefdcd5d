"""Writing updates: an operation is executed once for an event, and its response told to all who asked in its words."""

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, cast

import msgspec
from graphql import ExecutionResult, Executor, GraphQLError
from strawberry.utils.await_maybe import await_maybe

from db.read.coins import CoinRow, coins_by_ticker
from db.read.runs import run_from_event
from server.graphql.execution.context import Context
from server.graphql.execution.errors import mask
from server.graphql.relay.cursors import encode_words
from server.graphql.types.subscription import CoinUpdateValue, RunUpdateValue
from server.limits.rows import COINS_PER_MESSAGE
from server.live.encoder import Commit
from server.live.message import Message
from server.live.pace import Pace

COINS_AT_ONCE = 50
"""Executed without a rest: about a millisecond."""
ROWS_AT_ONCE = 500

_CURSOR = "the place of a cursor"


def response(data: object, errors: Sequence[GraphQLError] | None) -> dict[str, object]:
    """Return a result as clients see it; its errors are masked already."""
    return (
        {"data": data, "errors": [error.formatted for error in errors]}
        if errors
        else {"data": data}
    )


class Updates:
    """Executes one operation for values of its root field."""

    def __init__(self, executor: Executor[Context], context: Context, cost: int) -> None:
        self.cost = cost
        self._executor = executor
        self._context = context

    async def result(self, value: object) -> ExecutionResult:
        """Return what the operation makes of a value."""
        executed = self._executor.build_per_event_executor(value).execute_operation(serially=False)
        return cast("ExecutionResult", await await_maybe(executed))

    async def body(self, value: object) -> bytes:
        """Return the whole response about a value."""
        result = await self.result(value)
        errors = mask(result.errors, self._context.request_id) if result.errors else None
        return msgspec.json.encode(response(result.data, errors))


class RunUpdates(Updates):
    """Writes what `runUpdates` tells: the same for all, since an event holds one run."""

    async def encode(
        self, commit: Commit, wants: Sequence[Sequence[str]]
    ) -> Sequence[Sequence[Message]]:
        """Return one message for everyone."""
        event = commit.event
        assert event.run is not None  # noqa: S101  (the table checks it)
        cursor = encode_words(event.seq, None)
        value = RunUpdateValue(cursor, event.kind, run_from_event(event.run))
        return [[Message(event.seq, await self.body(value), cursor=cursor)]] * len(wants)


class CoinUpdates(Updates):
    """Writes what `coinUpdates` tells: each coin once, and of those what each group wants."""

    async def encode(
        self, commit: Commit, wants: Sequence[Sequence[str]]
    ) -> Sequence[Sequence[Message]]:
        """Return each group's messages: one a commit, or several where it wants many coins of it."""
        rows = await commit.rows(self._read)
        wanted = {ticker: rows[ticker] for names in wants for ticker in names if ticker in rows}
        update = await self._write(wanted)
        pace = Pace()
        found = []
        for names in wants:
            messages = []
            for place, part in _parts(commit.event.seq, names):
                coins = [ticker for ticker in part if ticker in rows]
                if update is None:
                    cursor = encode_words(*place)
                    value = CoinUpdateValue(cursor, [rows[ticker] for ticker in coins], 0)
                    messages.append(
                        Message(commit.event.seq, await self.body(value), cursor=cursor)
                    )
                else:
                    messages.append(update.message(place, coins))
                await pace.rest()
            found.append(messages)
        return found

    async def _read(self, tickers: Sequence[str]) -> Mapping[str, CoinRow]:
        """Read coins as they are now; one that is gone was renamed by its source since."""
        rows: dict[str, CoinRow] = {}
        for start in range(0, len(tickers), ROWS_AT_ONCE):
            # From the primary: a replica may not yet hold what the event tells of.
            async with self._context.writing() as connection:
                rows |= await coins_by_ticker(connection, tickers[start : start + ROWS_AT_ONCE])
        return rows

    async def _write(self, rows: Mapping[str, CoinRow]) -> "EncodedCoins | None":
        """Write every coin; None where anything went wrong: errors name places in one response, so none is shared."""
        update: EncodedCoins | None = None
        pace = Pace()
        remaining = iter(rows.values())
        while True:
            coins = list(islice(remaining, COINS_AT_ONCE))
            if not coins and update is not None:
                return update
            result = await self.result(CoinUpdateValue(_CURSOR, coins, 0))
            if result.errors or result.data is None:
                return None
            if update is None:
                update = EncodedCoins(result.data)
            update.add(result.data, [coin.ticker for coin in coins])
            await pace.rest()


class EncodedCoins:
    """Responses about coins, put together of parts that were written once.

    A CoinUpdate has one list, its coins, one number, `lagged`, and one text beside its type's name,
    the cursor: what a value is tells which of them a response name, alias or not, stands for.
    """

    def __init__(self, data: Mapping[str, Any]) -> None:
        ((self._root, update),) = data.items()
        self._like: dict[str, Any] = update
        self._coins: dict[str, dict[str, bytes]] = {
            name: {} for name, value in self._like.items() if isinstance(value, list)
        }

    def add(self, data: Mapping[str, Any], tickers: Sequence[str]) -> None:
        """Write the coins of another response."""
        for name, written in self._coins.items():
            for ticker, coin in zip(tickers, data[self._root][name], strict=True):
                written[ticker] = msgspec.json.encode(coin)

    def message(self, place: tuple[int, str | None], tickers: Sequence[str]) -> Message:
        """Return the response that tells of these coins."""
        cursor = encode_words(*place)
        body = bytearray(b'{"data":{%s:{' % msgspec.json.encode(self._root))
        holes = []
        for number, (name, value) in enumerate(self._like.items()):
            body += b"%s%s:" % (b"," if number else b"", msgspec.json.encode(name))
            if name in self._coins:
                written = self._coins[name]
                body += b"[%s]" % b",".join([written[ticker] for ticker in tickers])
            elif isinstance(value, int):
                holes.append(len(body))
                body += b"0"
            else:
                body += msgspec.json.encode(cursor if value == _CURSOR else value)
        body += b"}}}"
        return Message(place[0], bytes(body), tuple(holes), cursor)


def _parts(seq: int, names: Sequence[str]) -> list[tuple[tuple[int, str | None], Sequence[str]]]:
    """Return the places and the tickers of the messages about one event."""
    starts = range(0, len(names), COINS_PER_MESSAGE)
    parts = [names[start : start + COINS_PER_MESSAGE] for start in starts]
    return [((seq, None if part is parts[-1] else part[-1]), part) for part in parts]
