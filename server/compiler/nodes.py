"""Objects by key: asset, token, coin, listing and run, node and nodes."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple

from db.connect.types import Connection
from db.read.assets import (
    ASKED_ASSETS,
    AssetReference,
    asked_assets_statement,
    referred_keys,
)
from db.read.coins import COINS, WITH_IDS
from db.read.listings import LISTINGS, listings_by_key_statement
from db.read.requests import requests_by_id
from db.read.runs import runs_by_id
from server.compiler.arguments import RunTime
from server.compiler.compiling import SelectedField
from server.compiler.errors import NotCompiledError
from server.compiler.projection import FieldSelection, rows_of_records, rows_of_structs
from server.graphql.relay.ids import Kind, NodeKey, parse_key
from server.graphql.types.listing import BY_TICKERS

ReadObjects = Callable[[Sequence[Any], RunTime], Awaitable[Mapping[Any, object]]]
"""Reads the objects with some keys and returns them as JSON values, by key."""


def _coins_by(column: str, condition: str, selection: FieldSelection) -> ReadObjects:
    query = COINS.narrow(selection.needs | {column})
    names, statement = [name for name, _ in query.columns], query.select(condition)

    async def read(keys: Sequence[Any], run: RunTime) -> Mapping[Any, object]:
        found = rows_of_records(names, await run.connection.fetch(statement, keys))
        return dict(zip(found.columns[column], await selection.write(found, run), strict=True))

    return read


def _coins_by_ticker(selection: FieldSelection) -> ReadObjects:
    return _coins_by("ticker", BY_TICKERS, selection)


def _coins_by_id(selection: FieldSelection) -> ReadObjects:
    return _coins_by("id", WITH_IDS, selection)


def _assets_by_key(selection: FieldSelection) -> ReadObjects:
    query = ASKED_ASSETS.narrow(selection.needs | {"asked"})
    names, statement = [name for name, _ in query.columns], asked_assets_statement(query)

    async def read(keys: Sequence[Any], run: RunTime) -> Mapping[Any, object]:
        found = rows_of_records(names, await run.connection.fetch(statement, keys))
        return dict(zip(found.columns["asked"], await selection.write(found, run), strict=True))

    return read


def _assets_by_reference(selection: FieldSelection) -> ReadObjects:
    read_by_key = _assets_by_key(selection)

    async def read(references: Sequence[AssetReference], run: RunTime) -> Mapping[Any, object]:
        keys = await referred_keys(run.connection, references)
        found = await read_by_key(list(set(keys.values())), run) if keys else {}
        return {reference: found[key] for reference, key in keys.items() if key in found}

    return read


def _listings_by_key(selection: FieldSelection) -> ReadObjects:
    query = LISTINGS.narrow(selection.needs | {"source", "external_id"})
    names, statement = [name for name, _ in query.columns], listings_by_key_statement(query)

    async def read(keys: Sequence[Any], run: RunTime) -> Mapping[Any, object]:
        sources, external_ids = zip(*keys, strict=True)
        found = rows_of_records(names, await run.connection.fetch(statement, sources, external_ids))
        found_keys = zip(found.columns["source"], found.columns["external_id"], strict=True)
        return dict(zip(found_keys, await selection.write(found, run), strict=True))

    return read


def _structs_by(
    read_rows: Callable[[Connection, Sequence[Any]], Awaitable[Mapping[Any, object]]],
) -> Callable[[FieldSelection], ReadObjects]:
    def make(selection: FieldSelection) -> ReadObjects:
        async def read(keys: Sequence[Any], run: RunTime) -> Mapping[Any, object]:
            found = await read_rows(run.connection, keys)
            rows = rows_of_structs(selection.needs, list(found.values()))
            return dict(zip(found, await selection.write(rows, run), strict=True))

        return read

    return make


async def _requests_by_id(connection: Connection, ids: Sequence[int]) -> Mapping[Any, object]:
    """Read requests. Raises NotCompiledError if one is missing.

    A replica may not have it yet; Strawberry's execution reads the primary.
    """
    found = await requests_by_id(connection, ids)
    if len(found) < len(set(ids)):
        raise NotCompiledError
    return found


class NodeKind(NamedTuple):
    """A type of node, and how its objects are read."""

    type_name: str
    by_key: Callable[[FieldSelection], ReadObjects]


_KINDS = {
    Kind.ASSET: NodeKind("Asset", _assets_by_key),
    Kind.COIN: NodeKind("Coin", _coins_by_id),
    Kind.LISTING: NodeKind("Listing", _listings_by_key),
    Kind.RUN: NodeKind("Run", _structs_by(runs_by_id)),
    Kind.REQUEST: NodeKind("EtlRequest", _structs_by(_requests_by_id)),
}


class SingleNode:
    """asset, token, coin, listing and run: one object, or null."""

    def __init__(
        self, field: SelectedField, by_key: Callable[[FieldSelection], ReadObjects]
    ) -> None:
        self._key = field.argument()
        self._read = by_key(field.selection())

    async def read(self, run: RunTime) -> object:
        """Read the object."""
        key = self._key.of(run)
        return None if key is None else (await self._read([key], run)).get(key)


class NodesById:
    """nodes: objects of several types, with one statement for each type among the ids."""

    def __init__(
        self, field: SelectedField, node_keys: Callable[[Any], list[NodeKey]] | None = None
    ) -> None:
        self._keys = field.argument(node_keys or _node_keys)
        self._by_kind = {
            kind: node.by_key(field.selection(node.type_name)) for kind, node in _KINDS.items()
        }

    async def read(self, run: RunTime) -> Sequence[object]:
        """Read all objects, in the order of their ids."""
        keys: list[NodeKey] = self._keys.of(run)
        found: dict[NodeKey, object] = {}
        for kind in dict.fromkeys(kind for kind, _ in keys):
            unique_keys = list(
                dict.fromkeys(key for of, key in keys if of is kind and key is not None)
            )
            if unique_keys:
                read = await self._by_kind[kind](unique_keys, run)
                found.update({(kind, key): value for key, value in read.items()})
        return [found.get(key) for key in keys]


def _node_keys(ids: Sequence[str]) -> list[NodeKey]:
    return [parse_key(text, "ids") for text in ids]


class NodeById:
    """node."""

    def __init__(self, field: SelectedField) -> None:
        self._nodes = NodesById(field, lambda key: [key])

    async def read(self, run: RunTime) -> object:
        """Read the object."""
        return (await self._nodes.read(run))[0]


def asset(field: SelectedField) -> SingleNode:
    """Return the fields `asset` and `token`."""
    return SingleNode(field, _assets_by_reference)


def coin(field: SelectedField) -> SingleNode:
    """Return the field `coin`."""
    return SingleNode(field, _coins_by_ticker)


def listing(field: SelectedField) -> SingleNode:
    """Return the field `listing`."""
    return SingleNode(field, _listings_by_key)


def run_by_id(field: SelectedField) -> SingleNode:
    """Return the field `run`."""
    return SingleNode(field, _structs_by(runs_by_id))
