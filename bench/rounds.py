"""Measure in turns, A B C, B C A, C A B, ...: other load on the machine affects all sides alike."""

import statistics
from collections.abc import Awaitable, Callable, Mapping

Measure = Callable[[], Awaitable[float]]


async def medians(
    sides: Mapping[str, Measure], rounds: int, *, warm_up: int = 0, rotate: bool = True
) -> dict[str, float]:
    """Return the median of each side; with `rotate`, each round starts with another."""
    found: dict[str, list[float]] = {name: [] for name in sides}
    names = list(sides)
    for number in range(warm_up + rounds):
        first = number % len(names) if rotate else 0
        for name in names[first:] + names[:first]:
            value = await sides[name]()
            if number >= warm_up:
                found[name].append(value)
    return {name: statistics.median(values) for name, values in found.items()}
