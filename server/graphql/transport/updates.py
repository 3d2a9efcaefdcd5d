"""Encoders of updates: an operation is executed once for each event, for all its subscribers."""

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
from server.live.encoder import SharedEvent
from server.live.message import Message
from server.live.time_slice import TimeSlice

COINS_PER_EXECUTION = 50
"""About a millisecond."""
ROWS_PER_STATEMENT = 500

_CURSOR_PLACEHOLDER = "cursor placeholder"


def response(data: object, errors: Sequence[GraphQLError] | None) -> dict[str, object]:
    """Return a result as clients see it; its errors are masked."""
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
        """Return the result of the operation for a value."""
        executed = self._executor.build_per_event_executor(value).execute_operation(serially=False)
        return cast("ExecutionResult", await await_maybe(executed))

    async def body(self, value: object) -> bytes:
        """Return the body of the response for a value."""
        result = await self.result(value)
        errors = mask(result.errors, self._context.request_id) if result.errors else None
        return msgspec.json.encode(response(result.data, errors))


class RunUpdates(Updates):
    """Encodes `runUpdates`: one message for all groups, since an event has one run."""

    async def encode(
        self, shared: SharedEvent, name_lists: Sequence[Sequence[str]]
    ) -> Sequence[Sequence[Message]]:
        """Return the same message for each group."""
        event = shared.event
        assert event.run is not None  # noqa: S101  (the table checks it)
        cursor = encode_words(event.seq, None)
        value = RunUpdateValue(cursor, event.kind, run_from_event(event.run))
        return [[Message(event.seq, await self.body(value), cursor=cursor)]] * len(name_lists)


class CoinUpdates(Updates):
    """Encodes `coinUpdates`: writes each coin once, and composes the messages of the groups."""

    async def encode(
        self, shared: SharedEvent, name_lists: Sequence[Sequence[str]]
    ) -> Sequence[Sequence[Message]]:
        """Return the messages of each group: one for COINS_PER_MESSAGE coins."""
        rows = await shared.rows(self._read)
        update = await self._write(
            {ticker: rows[ticker] for names in name_lists for ticker in names if ticker in rows}
        )
        time_slice = TimeSlice()
        encoded = []
        for names in name_lists:
            messages = []
            for position, part in _parts(shared.event.seq, names):
                coins = [ticker for ticker in part if ticker in rows]
                if update is None:
                    cursor = encode_words(*position)
                    value = CoinUpdateValue(cursor, [rows[ticker] for ticker in coins], 0)
                    messages.append(
                        Message(shared.event.seq, await self.body(value), cursor=cursor)
                    )
                else:
                    messages.append(update.message(position, coins))
                await time_slice.end_if_over()
            encoded.append(messages)
        return encoded

    async def _read(self, tickers: Sequence[str]) -> Mapping[str, CoinRow]:
        """Read coins as they are now; a coin that its source has renamed since is missing."""
        rows: dict[str, CoinRow] = {}
        for start in range(0, len(tickers), ROWS_PER_STATEMENT):
            # From the primary: a replica may not have the changes of the event yet.
            async with self._context.writing() as connection:
                part = tickers[start : start + ROWS_PER_STATEMENT]
                rows |= await coins_by_ticker(connection, part)
        return rows

    async def _write(self, rows: Mapping[str, CoinRow]) -> "EncodedCoins | None":
        """Write every coin; return None after an error.

        The path of an error is that of one response, so responses with errors are not shared.
        """
        update: EncodedCoins | None = None
        time_slice = TimeSlice()
        remaining = iter(rows.values())
        while True:
            coins = list(islice(remaining, COINS_PER_EXECUTION))
            if not coins and update is not None:
                return update
            result = await self.result(CoinUpdateValue(_CURSOR_PLACEHOLDER, coins, 0))
            if result.errors or result.data is None:
                return None
            if update is None:
                update = EncodedCoins(result.data)
            update.add(result.data, [coin.ticker for coin in coins])
            await time_slice.end_if_over()


class EncodedCoins:
    """Responses about coins, composed of parts that are written once.

    A CoinUpdate has one list (its coins), one number (`lagged`) and one text beside the name of its
    type (the cursor), so the type of a value identifies the field of a response name.
    """

    def __init__(self, data: Mapping[str, Any]) -> None:
        ((self._root, update),) = data.items()
        self._template: dict[str, Any] = update
        self._coins: dict[str, dict[str, bytes]] = {
            name: {} for name, value in self._template.items() if isinstance(value, list)
        }

    def add(self, data: Mapping[str, Any], tickers: Sequence[str]) -> None:
        """Write the coins of another response."""
        for name, written in self._coins.items():
            for ticker, coin in zip(tickers, data[self._root][name], strict=True):
                written[ticker] = msgspec.json.encode(coin)

    def message(self, position: tuple[int, str | None], tickers: Sequence[str]) -> Message:
        """Return the response with these coins."""
        cursor = encode_words(*position)
        body = bytearray(b'{"data":{%s:{' % msgspec.json.encode(self._root))
        lagged_offsets = []
        for number, (name, value) in enumerate(self._template.items()):
            body += b"%s%s:" % (b"," if number else b"", msgspec.json.encode(name))
            if name in self._coins:
                written = self._coins[name]
                body += b"[%s]" % b",".join([written[ticker] for ticker in tickers])
            elif isinstance(value, int):
                lagged_offsets.append(len(body))
                body += b"0"
            else:
                body += msgspec.json.encode(cursor if value == _CURSOR_PLACEHOLDER else value)
        body += b"}}}"
        return Message(position[0], bytes(body), tuple(lagged_offsets), cursor)


def _parts(seq: int, names: Sequence[str]) -> list[tuple[tuple[int, str | None], Sequence[str]]]:
    """Return the position and the tickers of each message about one event."""
    starts = range(0, len(names), COINS_PER_MESSAGE)
    parts = [names[start : start + COINS_PER_MESSAGE] for start in starts]
    return [((seq, None if part is parts[-1] else part[-1]), part) for part in parts]
