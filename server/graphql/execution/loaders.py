"""Loaders: keys that the fields of one level load one by one are read with one statement.

Loaders cache nothing: a context may live as long as a subscription, and each message must show
current values.
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Generic, TypeVar

import msgspec
from strawberry.dataloader import DataLoader

from db.connect.types import Connection
from db.read.keyset import PageQuery

Value = TypeVar("Value")

OpenConnection = Callable[[], AbstractAsyncContextManager[Connection]]
"""Acquires a connection for reading, of the replica or of the primary."""

ReadByKey = Callable[..., Awaitable[Mapping[Any, Value]]]
"""A function of `db`: takes a connection, a list of keys and further arguments; returns by key."""


class Lookup(msgspec.Struct, Generic[Value], frozen=True, eq=False):
    """Values that are read by key; `missing` makes the value of a key that `read` does not return.

    With `from_primary` the primary is read: a replica may not have a new row yet.
    """

    read: ReadByKey[Value]
    missing: Callable[[], Value]
    from_primary: bool = False


class NarrowQuery(msgspec.Struct, frozen=True):
    """How the compiler reads only the selected columns of a relation.

    `statement` takes the narrowed `query`. Its first parameter is the list of keys, `parameters`
    are the others. `key` is the column of the query that holds the key, by default the one of the
    parent row.
    """

    query: PageQuery
    statement: Callable[[PageQuery], str]
    parameters: tuple[object, ...] = ()
    key: str | None = None


class Relation(Lookup[Value], Generic[Value], frozen=True, eq=False):
    """A field that is read by columns of its parent row: the key, a tuple if there are several.

    Where `condition` names a column that is false in the row, the field has the missing value.
    """

    columns: tuple[str, ...] = ()
    condition: str | None = None
    narrow: NarrowQuery | None = None


def _none() -> None:
    return None


def lookup_one(read: ReadByKey[Value], *, from_primary: bool = False) -> Lookup[Value | None]:
    """Return the lookup of one row by key, or None."""
    return Lookup(read, _none, from_primary)


def related_one(
    columns: Sequence[str],
    read: ReadByKey[Value],
    *,
    condition: str | None = None,
    narrow: NarrowQuery | None = None,
) -> Relation[Value | None]:
    """Return the relation to one row, or None."""
    return Relation(read, _none, columns=tuple(columns), condition=condition, narrow=narrow)


def related_many(
    columns: Sequence[str],
    read: ReadByKey[list[Value]],
    *,
    from_primary: bool = False,
    narrow: NarrowQuery | None = None,
) -> Relation[list[Value]]:
    """Return the relation to a list of rows."""
    return Relation(read, list, from_primary, tuple(columns), narrow=narrow)


def related_count(columns: Sequence[str], read: ReadByKey[int]) -> Relation[int]:
    """Return the relation to a number of rows."""
    return Relation(read, int, columns=tuple(columns))


class Loaders:
    """One data loader for each lookup that a context uses."""

    def __init__(self, reading: OpenConnection, writing: OpenConnection) -> None:
        self._reading = reading
        self._writing = writing
        self._loaders: dict[Lookup[Any], DataLoader[tuple[Any, ...], Any]] = {}

    def load(self, lookup: Lookup[Value], key: object, *arguments: object) -> Awaitable[Value]:
        """Return an awaitable of the value of a key; `read` gets the further `arguments`."""
        loader = self._loaders.get(lookup)
        if loader is None:
            loader = self._loaders[lookup] = self._create(lookup)
        value: Awaitable[Value] = loader.load((key, *arguments))
        return value

    def _create(self, lookup: Lookup[Value]) -> DataLoader[tuple[Any, ...], Value]:
        """Return a loader with one statement for each set of arguments."""
        open_connection = self._writing if lookup.from_primary else self._reading

        async def load(keys: list[tuple[Any, ...]]) -> Sequence[Value]:
            by_arguments: defaultdict[tuple[Any, ...], list[Any]] = defaultdict(list)
            for key, *arguments in dict.fromkeys(keys):
                by_arguments[tuple(arguments)].append(key)
            found: dict[tuple[Any, ...], Value] = {}
            async with open_connection() as connection:
                for given, unique_keys in by_arguments.items():
                    values = await lookup.read(connection, unique_keys, *given)
                    found.update({(key, *given): value for key, value in values.items()})
            return [found[key] if key in found else lookup.missing() for key in keys]

        return DataLoader(load_fn=load, cache=False)
