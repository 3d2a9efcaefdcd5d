"""The schema: as printed, as promised, and with descriptions everywhere."""

import subprocess
import sys
from pathlib import Path

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    build_schema,
    is_introspection_type,
    is_specified_scalar_type,
)
from graphql.utilities import find_breaking_changes

from server.graphql.schema import schema

ROOT = Path(__file__).resolve().parents[2]
PRINTED = ROOT / "schema.graphql"
CONTRACT = ROOT.parent / "shared" / "contract.graphql"


def test_the_printed_schema_is_that_of_the_code() -> None:
    printing = subprocess.run(
        [sys.executable, "-m", "server.graphql.print_schema"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert printing.stdout == PRINTED.read_text(encoding="utf-8")


def test_the_printed_schema_keeps_the_contract() -> None:
    if not CONTRACT.is_file():
        pytest.skip("the contract is not on this machine")
    contract = build_schema(CONTRACT.read_text(encoding="utf-8"))
    printed = build_schema(PRINTED.read_text(encoding="utf-8"))
    assert [change.description for change in find_breaking_changes(contract, printed)] == []


def _parts(named: GraphQLNamedType) -> list[tuple[str, str | None]]:
    """Return the parts of a type that have a description, with it."""
    parts = [(named.name, named.description)]
    if isinstance(named, GraphQLEnumType):
        parts += [
            (f"{named.name}.{name}", value.description) for name, value in named.values.items()
        ]
    if isinstance(named, GraphQLInputObjectType):
        parts += [
            (f"{named.name}.{name}", field.description) for name, field in named.fields.items()
        ]
    if isinstance(named, (GraphQLObjectType, GraphQLInterfaceType)):
        for name, field in named.fields.items():
            parts.append((f"{named.name}.{name}", field.description))
            parts += [
                (f"{named.name}.{name}({given})", arg.description)
                for given, arg in field.args.items()
            ]
    return parts


def test_everything_is_described() -> None:
    ours = [
        named
        for named in schema._schema.type_map.values()
        if not is_introspection_type(named) and not is_specified_scalar_type(named)
    ]
    parts = [part for named in ours for part in _parts(named)]
    assert len(parts) > 200
    assert [name for name, description in parts if not description] == []
