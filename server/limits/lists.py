"""The lengths of the lists in variables."""

from typing import NamedTuple


class FoundList(NamedTuple):
    """A list's length and its path, such as `filter.ticker.in`."""

    length: int
    path: str


def longest_list(value: object, path: str) -> FoundList | None:
    """Return the longest list within a JSON value, None if it has none."""
    longest: FoundList | None = None
    pending = [(value, path)]
    while pending:
        value, path = pending.pop()
        if isinstance(value, dict):
            pending += [
                (inner, f"{path}.{name}")
                for name, inner in value.items()
                if isinstance(inner, (list, dict))
            ]
        elif isinstance(value, list):
            if longest is None or len(value) > longest.length:
                longest = FoundList(len(value), path)
            pending += [(inner, path) for inner in value if isinstance(inner, (list, dict))]
    return longest
