"""Global ids: readable, with the kind of node as prefix, such as `merged_btc` and `run_42`."""

import enum
import re
from typing import Any

from server.graphql.execution.errors import bad_input
from server.graphql.types.arguments import checked_text

_MAX_BIGINT = 2**63 - 1  # PostgreSQL's bigint
_NUMBER = re.compile(r"\d{1,30}", re.ASCII)
_SOURCE = re.compile(r"[a-z][a-z0-9-]{0,62}")


class Kind(enum.StrEnum):
    """The first word of an id: the kind of the node."""

    ASSET = "asset"
    COIN = "merged"
    LISTING = "listing"
    RUN = "run"
    REQUEST = "request"


_KINDS = frozenset(kind.value for kind in Kind)


def run_id(number: int) -> str:
    """Return the id of a run."""
    return f"{Kind.RUN}_{number}"


def request_id(number: int) -> str:
    """Return the id of a request for a run."""
    return f"{Kind.REQUEST}_{number}"


def rejection_id(number: int) -> str:
    """Return the id of a rejection."""
    return f"rejection_{number}"


def listing_id(source: str, external_id: str) -> str:
    """Return the id of a listing; an external id may hold underscores, a source's name may not."""
    return f"{Kind.LISTING}_{source}_{external_id}"


def asset_id(key: str) -> str:
    """Return the id of an asset; `key` is `source:external_id` of the listing that names it."""
    source, _, external_id = key.partition(":")
    return f"{Kind.ASSET}_{source}_{external_id}"


NodeKey = tuple[Kind, Any]
"""The kind of a node and its key: None where no row can have it."""


def parse_key(text: str, argument: str) -> NodeKey:
    """Return the kind and the key of an id: itself, (source, external id), its text or a number.

    Raises GraphQLError for text that cannot be an id of this service.
    """
    kind, rest = _parse_id(text, argument)
    match kind:
        case Kind.COIN:
            return kind, text
        case Kind.LISTING:
            return kind, _parse_listing(rest, argument)
        case Kind.ASSET:
            return kind, ":".join(_parse_listing(rest, argument, Kind.ASSET))
    return kind, _parse_number(rest, argument)


def _parse_id(text: str, argument: str) -> tuple[Kind, str]:
    word, _, rest = checked_text(text, argument).partition("_")
    if word not in _KINDS or not rest:
        raise bad_input(argument, 'must be an id of this service such as "merged_btc" or "run_42"')
    return Kind(word), rest


def _parse_number(rest: str, argument: str) -> int | None:
    if not _NUMBER.fullmatch(rest):
        raise bad_input(argument, 'must be an id with a number such as "run_42"')
    number = int(rest)
    return number if number <= _MAX_BIGINT else None


def _parse_listing(rest: str, argument: str, kind: Kind = Kind.LISTING) -> tuple[str, str]:
    source, separator, external_id = rest.partition("_")
    if not separator or not external_id or not _SOURCE.fullmatch(source):
        word = "an asset" if kind is Kind.ASSET else "a listing"
        raise bad_input(
            argument, f'must be the id of {word} such as "{kind}_coinpaprika_btc-bitcoin"'
        )
    return source, external_id
