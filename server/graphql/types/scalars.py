"""The scalars of the schema: exact decimals, instants, and raw JSON."""

import datetime
import re
from collections.abc import Callable
from decimal import Decimal
from typing import NewType, TypeVar

import msgspec
import strawberry
from graphql import (
    FloatValueNode,
    GraphQLError,
    IntValueNode,
    StringValueNode,
    ValueNode,
    print_ast,
)
from strawberry.types.scalar import ScalarDefinition

from common.times import UnreadableTimeError, read_instant

T = TypeVar("T")

DecimalText = NewType("DecimalText", str)
"""A decimal number as PostgreSQL writes it, never with an exponent."""

MAX_DECIMAL_CHARACTERS = 100
MAX_DECIMAL_EXPONENT = 100
_DECIMAL = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,4})?", re.ASCII)
_INSTANT = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})", re.ASCII
)
_MICROSECONDS = re.compile(r"(\.\d{6})\d+")


def parse_decimal(value: object) -> DecimalText:
    """Return a client's number in plain digits. Raises GraphQLError.

    A JSON number with a fraction is refused: the client may have rounded it.
    """
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str):
        raise GraphQLError(f'Decimal must be a string such as "44456.51430421", not {value!r}')
    if len(text) > MAX_DECIMAL_CHARACTERS or not _DECIMAL.fullmatch(text):
        raise GraphQLError(
            'Decimal must be a number such as "44456.51430421" of at most'
            f" {MAX_DECIMAL_CHARACTERS} characters, not {text[:MAX_DECIMAL_CHARACTERS]!r}"
        )
    number = Decimal(text)
    if number and abs(number.adjusted()) > MAX_DECIMAL_EXPONENT:
        raise GraphQLError(
            f"Decimal must lie within 1e-{MAX_DECIMAL_EXPONENT} and 1e{MAX_DECIMAL_EXPONENT}:"
            f" {text!r}"
        )
    return DecimalText(format(number, "f") if number else "0")


def _decimal_of_literal(node: ValueNode) -> DecimalText:
    """Return a number in a document; the document has all digits, quoted or not."""
    if isinstance(node, (StringValueNode, IntValueNode, FloatValueNode)):
        return parse_decimal(node.value)
    raise GraphQLError(f'Decimal must be a string such as "44456.51430421", not {print_ast(node)}')


def _instant_of_literal(node: ValueNode) -> datetime.datetime:
    return parse_instant(node.value if isinstance(node, StringValueNode) else print_ast(node))


def _with_location(parse: Callable[[ValueNode], T]) -> Callable[[ValueNode, object], T]:
    """Add the location of the literal to errors; graphql-core leaves that to the scalar."""

    def parse_literal(node: ValueNode, _variables: object = None) -> T:
        try:
            return parse(node)
        except GraphQLError as error:
            raise GraphQLError(error.message, node) from None

    return parse_literal


def format_instant(value: datetime.datetime) -> str:
    """Return the instant as RFC 3339 in UTC, always with microseconds."""
    return value.astimezone(datetime.UTC).isoformat(timespec="microseconds")[:-6] + "Z"


def parse_instant(value: object) -> datetime.datetime:
    """Return a client's RFC 3339 date-time in UTC; digits below microseconds are dropped.

    Raises GraphQLError.
    """
    expected = 'DateTime must be a date-time with its offset such as "2026-02-03T20:21:11.250000Z"'
    if not isinstance(value, str) or not _INSTANT.fullmatch(value):
        raise GraphQLError(f"{expected}, not {value!r}"[:300])
    try:
        return read_instant(_MICROSECONDS.sub(r"\1", value.upper()))
    except UnreadableTimeError:
        raise GraphQLError(f"{expected}, not {value!r}") from None


def _unchanged(value: object) -> object:
    return value


SCALARS: dict[object, ScalarDefinition] = {
    DecimalText: strawberry.scalar(
        name="Decimal",
        description='An exact decimal number as a string, never with an exponent: "44456.51430421".'
        " As input also a number literal, or an exponent,"
        f" at most {MAX_DECIMAL_CHARACTERS} characters;"
        " a JSON number only if it is whole.",
        serialize=_unchanged,
        parse_value=parse_decimal,
        parse_literal=_with_location(_decimal_of_literal),
        # The format of a decimal in XML Schema.
        specified_by_url="https://www.w3.org/TR/xmlschema-2/#decimal",
    ),
    datetime.datetime: strawberry.scalar(
        name="DateTime",
        description='An instant in UTC, RFC 3339: "2026-02-03T20:21:11.250000Z".'
        " As input with any offset.",
        serialize=format_instant,
        parse_value=parse_instant,
        parse_literal=_with_location(_instant_of_literal),
        specified_by_url="https://www.rfc-editor.org/rfc/rfc3339#section-5.6",
    ),
    msgspec.Raw: strawberry.scalar(
        name="JSON",
        description="Any JSON value, as the provider sent it.",
        serialize=_unchanged,
        specified_by_url="https://www.rfc-editor.org/rfc/rfc8259",
    ),
}
