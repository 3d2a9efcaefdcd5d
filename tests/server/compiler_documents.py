"""Random documents over the whole schema, with variables; most of them are valid."""

import json
from collections.abc import Sequence
from typing import TypeVar

from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    get_named_type,
    get_nullable_type,
    is_list_type,
    is_non_null_type,
)

from tests.server.compiler_market import (
    ADDRESSES,
    ASSET_IDS,
    CHAINS,
    NAMES,
    SOURCES,
    TICKERS,
    Market,
)

T = TypeVar("T")

DEPTH = 5
INSTANTS = [
    "2026-02-03T20:21:11.250000Z",
    "2026-02-01T00:00:00+02:00",
    "2025-12-24T00:00:00Z",
    "2030-01-01T00:00:00Z",
]
LEAVES: dict[str, list[object]] = {
    "Int": [1, 2, 3, 10, 250],
    "Float": [-3.5, 0, 5.0],
    "Boolean": [True, False],
    "DateTime": list(INSTANTS),
    "Decimal": ["0.00000001", "1", "45000.5", "1e4", 7, "-1"],
}
ODD: list[object] = [-1, 0, 251, "", "nonsense", True, 1.5, "\0"]
CURSORS = {
    "assets": "assets",
    "listings": "listings",
    "runs": "runs",
    "history": "points",
    "rejections": "rejections",
}
"""Whose cursors a field takes; coins take those of their order."""


TEXTS = {
    "source": SOURCES,
    "externalId": [f"{ticker}-0" for ticker in TICKERS],
    "chain": [*CHAINS, "eip155:1"],
    "address": ADDRESSES[:4],
    "search": ["b", "t1", "coin", "ü", "%", "old", *filter(None, NAMES)],
}
OTHER_TEXTS = [*TICKERS, *(ticker.lower() for ticker in TICKERS), *SOURCES, "NONE", *CHAINS]
IDS = {"run.id": ["run_1", "run_2", "run_999999"], "asset.id": ASSET_IDS}
"""The ids that fields of one type take."""


class RandomDocument:
    """One random document.

    Each byte of hypothesis is a choice; without bytes the first alternative is chosen, so that a
    failing document shrinks.
    """

    def __init__(self, choices: bytes, schema: GraphQLSchema, market: Market) -> None:
        self.variables: dict[str, object] = {}
        self._choices = iter(choices)
        self._schema = schema
        self._market = market
        self._declared: list[str] = []
        self._fragments: list[str] = []
        self._names = 0

    def document(self) -> str:
        """Return the text."""
        query = self._schema.query_type
        assert query is not None
        selection = self._selection(query, DEPTH)
        declared = f"({', '.join(self._declared)})" if self._declared else ""
        return " ".join([f"query Drawn{declared} {selection}", *self._fragments])

    def _number(self, limit: int) -> int:
        return next(self._choices, 0) % limit

    def _one_of(self, values: Sequence[T]) -> T:
        return values[self._number(len(values))]

    def _once_in(self, times: int) -> bool:
        return self._number(times) == times - 1

    def _fresh(self, word: str) -> str:
        self._names += 1
        return f"{word}{self._names}"

    def _selection(self, parent: GraphQLObjectType | GraphQLInterfaceType, depth: int) -> str:
        selected = [self._selected(parent, depth) for _ in range(1 + self._number(3))]
        return "{ " + " ".join(selected) + " }"

    def _selected(self, parent: GraphQLObjectType | GraphQLInterfaceType, depth: int) -> str:
        if self._once_in(12):
            return f"__typename{self._directive()}"
        if isinstance(parent, GraphQLInterfaceType) or self._once_in(8):
            return self._fragment(parent, depth)
        names = [
            name
            for name, field in parent.fields.items()
            if depth > 1
            or not isinstance(get_named_type(field.type), (GraphQLObjectType, GraphQLInterfaceType))
        ]
        if not names:
            return "__typename"
        name = self._one_of(names)
        return self._field(name, parent.fields[name], depth)

    def _fragment(self, parent: GraphQLObjectType | GraphQLInterfaceType, depth: int) -> str:
        condition = self._one_of([parent, *self._others(parent)])
        selection = (
            self._selection(condition, depth)
            if condition is not parent or isinstance(parent, GraphQLObjectType)
            else "{ id }"
        )
        if self._once_in(2):
            name = self._fresh("F")
            self._fragments.append(f"fragment {name} on {condition.name} {selection}")
            return f"...{name}{self._directive()}"
        on = "" if condition is parent and self._once_in(2) else f" on {condition.name}"
        return f"...{on}{self._directive()} {selection}"

    def _others(
        self, parent: GraphQLObjectType | GraphQLInterfaceType
    ) -> list[GraphQLObjectType | GraphQLInterfaceType]:
        if isinstance(parent, GraphQLInterfaceType):
            return list(self._schema.get_possible_types(parent))
        return list(parent.interfaces)

    def _field(self, name: str, field: GraphQLField, depth: int) -> str:
        given = self._arguments(name, field)
        # Two fields of one name with different arguments are invalid.
        alias = f"{self._fresh('a')}: " if field.args or self._once_in(6) else ""
        named = get_named_type(field.type)
        inner = ""
        if isinstance(named, (GraphQLObjectType, GraphQLInterfaceType)):
            inner = self._selection(named, depth - 1)
        return f"{alias}{name}{f'({given})' if given else ''}{self._directive()} {inner}".rstrip()

    def _arguments(self, name: str, field: GraphQLField) -> str:
        names = [
            argument
            for argument, definition in field.args.items()
            if is_non_null_type(definition.type) or self._once_in(3)
        ]
        if "first" in names and "last" in names and not self._once_in(10):
            names.remove("last")
        return ", ".join(
            f"{argument}: {self._argument(f'{name}.{argument}', field.args[argument])}"
            for argument in names
        )

    def _directive(self) -> str:
        if not self._once_in(10):
            return ""
        word = self._one_of(["include", "skip"])
        if self._once_in(2):
            return f" @{word}(if: {self._one_of(['true', 'false'])})"
        variable = self._fresh("b")
        self._declared.append(
            f"${variable}: Boolean!" if self._once_in(2) else f"${variable}: Boolean = true"
        )
        if not self._declared[-1].endswith("true") or self._once_in(2):
            self.variables[variable] = self._one_of([True, False])
        return f" @{word}(if: ${variable})"

    def _argument(self, name: str, definition: GraphQLArgument) -> str:
        value = self._value(name, definition.type)
        if self._once_in(2):
            return literal(value)
        variable = self._fresh("v")
        default = f" = {literal(self._value(name, definition.type))}" if self._once_in(6) else ""
        self._declared.append(f"${variable}: {definition.type}{default}")
        if is_non_null_type(definition.type) or not self._once_in(6):
            self.variables[variable] = plain(value)
        return f"${variable}"

    def _value(self, name: str, input_type: GraphQLInputType) -> object:
        if not is_non_null_type(input_type) and self._once_in(12):
            return None
        inner = get_nullable_type(input_type)
        if is_list_type(inner):
            return [self._value(name, inner.of_type) for _ in range(self._number(4))]
        if isinstance(inner, GraphQLInputObjectType):
            return self._object(inner)
        if isinstance(inner, GraphQLEnumType):
            return Enum(
                self._one_of([*inner.values, "NONE"])
                if self._once_in(12)
                else self._one_of(list(inner.values))
            )
        assert hasattr(inner, "name")
        return self._leaf(name, inner.name)

    def _object(self, input_type: GraphQLInputObjectType) -> dict[str, object]:
        return {
            name: self._value(f".{name}", field.type)
            for name, field in input_type.fields.items()
            if (is_non_null_type(field.type) and field.default is None) or self._once_in(5)
        }

    def _leaf(self, name: str, leaf: str) -> object:
        if self._once_in(40):
            return self._one_of(ODD)
        if leaf == "ID":
            own = IDS.get(name, [])
            return self._one_of(own or [*self._market.ids, "merged_none", "run_0"])
        return self._one_of(LEAVES[leaf]) if leaf in LEAVES else self._text(*name.split("."))

    def _text(self, field: str, argument: str) -> str:
        if argument in ("after", "before"):
            kinds = [CURSORS.get(field, "cap")] * 9 + list(self._market.cursors)
            return self._one_of(self._market.cursors[self._one_of(kinds)])
        return self._one_of(TEXTS.get(argument, OTHER_TEXTS))


class Enum(str):
    """A value of an enum: a name in a document, a text in variables."""

    __slots__ = ()


def literal(value: object) -> str:
    """Return a value as a literal of a document."""
    if isinstance(value, Enum):
        return str.__str__(value)
    if isinstance(value, list):
        return f"[{', '.join(map(literal, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {literal(inner)}" for name, inner in value.items()) + "}"
    return json.dumps(value)  # a leaf is the same in both languages


def plain(value: object) -> object:
    """Return a value as JSON."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {name: plain(inner) for name, inner in value.items()}
    return str.__str__(value) if isinstance(value, Enum) else value
