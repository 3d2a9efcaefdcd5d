"""Objects by a key of their own: coin, listing and run, node and nodes."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple

from db.connect.types import Connection
from db.read.coins import COINS, WITH_IDS
from db.read.listings import LISTINGS, listings_by_key_statement
from db.read.requests import requests_by_id
from db.read.runs import runs_by_id
from server.compiler.arguments import RunTime
from server.compiler.compiling import CompileRequest
from server.compiler.errors import NotOursError
from server.compiler.projection import FieldSelection, rows_of_records, rows_of_structs
from server.graphql.relay.ids import Kind, parse_id, parse_listing, parse_number
from server.graphql.types.arguments import checked_text, checked_ticker
from server.limits.rows import MAX_ROWS

ByKey = Callable[[Sequence[Any], RunTime], Awaitable[Mapping[Any, object]]]
"""Reads the objects with some keys."""


def _coins_by(column: str, condition: str, selection: FieldSelection) -> ByKey:
    query = COINS.narrow(selection.needs | {column})
    names, statement = [name for name, _ in query.columns], query.select(condition)

    async def read(keys: Sequence[Any], run: RunTime) -> Mapping[Any, object]:
        found = rows_of_records(names, await run.connection.fetch(statement, keys))
        return dict(zip(found.columns[column], await selection.write(found, run), strict=True))

    return read


def _coins_by_ticker(selection: FieldSelection) -> ByKey:
    return _coins_by("ticker", "WHERE n.ticker = ANY ($1::text[])", selection)


def _coins_by_id(selection: FieldSelection) -> ByKey:
    return _coins_by("id", WITH_IDS, selection)


def _listings_by_key(selection: FieldSelection) -> ByKey:
    query = LISTINGS.narrow(selection.needs | {"source", "external_id"})
    names, statement = [name for name, _ in query.columns], listings_by_key_statement(query)

    async def read(keys: Sequence[Any], run: RunTime) -> Mapping[Any, object]:
        sources, external_ids = zip(*keys, strict=True)
        found = rows_of_records(names, await run.connection.fetch(statement, sources, external_ids))
        known = zip(found.columns["source"], found.columns["external_id"], strict=True)
        return dict(zip(known, await selection.write(found, run), strict=True))

    return read


def _structs_by(
    read_rows: Callable[[Connection, Sequence[Any]], Awaitable[Mapping[Any, object]]],
) -> Callable[[FieldSelection], ByKey]:
    def make(selection: FieldSelection) -> ByKey:
        async def read(keys: Sequence[Any], run: RunTime) -> Mapping[Any, object]:
            found = await read_rows(run.connection, keys)
            rows = rows_of_structs(selection.needs, list(found.values()))
            return dict(zip(found, await selection.write(rows, run), strict=True))

        return read

    return make


async def _requests_by_id(connection: Connection, ids: Sequence[int]) -> Mapping[Any, object]:
    """Read requests; one that is not there may not have reached a replica yet: the ordinary way asks the primary."""
    found = await requests_by_id(connection, ids)
    if len(found) < len(set(ids)):
        raise NotOursError
    return found


class NodeKind(NamedTuple):
    """What an id may name: the type of it, how it is read, and the key in the rest of the id."""

    type_name: str
    by_key: Callable[[FieldSelection], ByKey]
    key: Callable[[str, str, str], object]


_KINDS = {
    Kind.COIN: NodeKind("Coin", _coins_by_id, lambda text, _, __: text),
    Kind.LISTING: NodeKind(
        "Listing", _listings_by_key, lambda _, rest, argument: parse_listing(rest, argument)
    ),
    Kind.RUN: NodeKind(
        "Run", _structs_by(runs_by_id), lambda _, rest, argument: parse_number(rest, argument)
    ),
    Kind.REQUEST: NodeKind(
        "EtlRequest",
        _structs_by(_requests_by_id),
        lambda _, rest, argument: parse_number(rest, argument),
    ),
}

NodeKey = tuple[Kind, Any]
"""What an id names, and its key there; None for one that no row can have."""


def _node_key(text: str, argument: str) -> NodeKey:
    kind, rest = parse_id(text, argument)
    return kind, _KINDS[kind].key(text, rest, argument)


class SingleNode:
    """coin, listing and run: one object, or null."""

    def __init__(
        self,
        asked: CompileRequest,
        by_key: Callable[[FieldSelection], ByKey],
        key: Callable[..., object],
    ) -> None:
        self._key = asked.argument(key)
        self._read = by_key(asked.selection())

    async def read(self, run: RunTime) -> object:
        """Read it."""
        key = self._key.of(run)
        return None if key is None else (await self._read([key], run)).get(key)


def _ticker(ticker: str) -> str:
    return checked_ticker(ticker, "ticker")


def _listing_key(source: str, external_id: str) -> tuple[str, str]:
    return checked_text(source, "source"), checked_text(external_id, "externalId")


def _run_number(id: str) -> object:  # noqa: A002 - the schema's name
    kind, number = _node_key(id, "id")
    if kind is not Kind.RUN:
        raise NotOursError
    return number


class NodesById:
    """nodes: objects of several types, with one statement for each type that is met."""

    def __init__(self, asked: CompileRequest, keys: Callable[..., list[NodeKey]]) -> None:
        self._keys = asked.argument(keys)
        self._by_kind = {
            kind: of.by_key(asked.selection(of.type_name)) for kind, of in _KINDS.items()
        }

    async def read(self, run: RunTime) -> Sequence[object]:
        """Read all of them, in the order of their ids."""
        keys: list[NodeKey] = self._keys.of(run)
        found: dict[NodeKey, object] = {}
        for kind in dict.fromkeys(kind for kind, _ in keys):
            wanted = list(dict.fromkeys(key for of, key in keys if of is kind and key is not None))
            if wanted:
                read = await self._by_kind[kind](wanted, run)
                found.update({(kind, key): value for key, value in read.items()})
        return [found.get(key) for key in keys]


class NodeById:
    """node."""

    def __init__(self, asked: CompileRequest) -> None:
        # The schema's name.
        self._nodes = NodesById(asked, lambda id: [_node_key(id, "id")])  # noqa: A006

    async def read(self, run: RunTime) -> object:
        """Read it."""
        return (await self._nodes.read(run))[0]


def _node_keys(ids: list[str]) -> list[NodeKey]:
    if len(ids) > MAX_ROWS:
        raise NotOursError
    return [_node_key(text, "ids") for text in ids]


def coin(asked: CompileRequest) -> SingleNode:
    """Return the field `coin`."""
    return SingleNode(asked, _coins_by_ticker, _ticker)


def listing(asked: CompileRequest) -> SingleNode:
    """Return the field `listing`."""
    return SingleNode(asked, _listings_by_key, _listing_key)


def run_by_id(asked: CompileRequest) -> SingleNode:
    """Return the field `run`."""
    return SingleNode(asked, _structs_by(runs_by_id), _run_number)


def nodes_by_id(asked: CompileRequest) -> NodesById:
    """Return the field `nodes`."""
    return NodesById(asked, _node_keys)
