"""How long the lists are that variables hold, found without a look at what is in them but for lists."""

from typing import NamedTuple


class FoundList(NamedTuple):
    """A list's length and its place, such as `filter.ticker.in`."""

    length: int
    place: str


def longest_list(value: object, place: str) -> FoundList | None:
    """Return the longest list within a JSON value; None where there is none."""
    longest: FoundList | None = None
    pending = [(value, place)]
    while pending:
        value, place = pending.pop()
        if isinstance(value, dict):
            pending += [
                (inner, f"{place}.{name}")
                for name, inner in value.items()
                if isinstance(inner, (list, dict))
            ]
        elif isinstance(value, list):
            if longest is None or len(value) > longest.length:
                longest = FoundList(len(value), place)
            pending += [(inner, place) for inner in value if isinstance(inner, (list, dict))]
    return longest
