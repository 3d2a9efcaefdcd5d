"""The lines of a measurement: each can be measured alone, and a failure affects only its line."""

import traceback
from collections.abc import Awaitable, Callable, Collection, Mapping

import msgspec

from bench.figures import Figure
from bench.screen import say


class LinesFailedError(Exception):
    """Some lines failed; `figures` are those of the others."""

    def __init__(self, figures: list[Figure], lines: list[str]) -> None:
        super().__init__(", ".join(lines))
        self.figures = figures
        self.lines = lines


async def take(
    measures: Mapping[str, Callable[[], Awaitable[list[Figure]]]], selected: Collection[str]
) -> list[Figure]:
    """Return the figures of the lines `selected`, each with its line's name.

    Raises LinesFailedError at the end.
    """
    figures, failed = [], []
    for line, measure in measures.items():
        if line not in selected:
            continue
        say(f"- {line} ...")
        try:
            figures += [msgspec.structs.replace(figure, line=line) for figure in await measure()]
        except Exception:  # noqa: BLE001 - reported, and raised at the end
            say(traceback.format_exc())
            failed.append(line)
    if failed:
        raise LinesFailedError(figures, failed)
    return figures
