"""Global ids: readable, prefixed by what they name, such as `merged_btc` and `run_42`."""

import enum
import re

from server.graphql.execution.errors import bad_input
from server.graphql.types.arguments import checked_text

_LARGEST = 2**63 - 1  # PostgreSQL's bigint
_NUMBER = re.compile(r"\d{1,30}", re.ASCII)
_SOURCE = re.compile(r"[a-z][a-z0-9-]{0,62}")


class Kind(enum.StrEnum):
    """What an id names: its first word."""

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
    """Return the id of a listing; the name of a source holds no underscore, an external id may hold anything."""
    return f"{Kind.LISTING}_{source}_{external_id}"


def parse_id(text: str, argument: str) -> tuple[Kind, str]:
    """Return what an id names, and the rest of it.

    Raises GraphQLError for what cannot be an id of ours.
    """
    word, _, rest = checked_text(text, argument).partition("_")
    if word not in _KINDS or not rest:
        raise bad_input(argument, 'must be an id of this service such as "merged_btc" or "run_42"')
    return Kind(word), rest


def parse_number(rest: str, argument: str) -> int | None:
    """Return the number in an id, None for one that no row can have. Raises GraphQLError."""
    if not _NUMBER.fullmatch(rest):
        raise bad_input(argument, 'must be an id with a number such as "run_42"')
    number = int(rest)
    return number if number <= _LARGEST else None


def parse_listing(rest: str, argument: str) -> tuple[str, str]:
    """Return the source and the external id in a listing's id. Raises GraphQLError."""
    source, separator, external_id = rest.partition("_")
    if not separator or not external_id or not _SOURCE.fullmatch(source):
        raise bad_input(
            argument, 'must be the id of a listing such as "listing_coinpaprika_btc-bitcoin"'
        )
    return source, external_id
