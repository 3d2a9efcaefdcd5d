"""The output: progress on standard error, and the table."""

from collections.abc import Iterable

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from bench.figures import Figure
from bench.machine import Machine

_progress = Console(stderr=True, highlight=False)
_WIDTH = 200
_REACHED = {True: Text("yes", "green"), False: Text("NO", "bold red"), None: Text("")}
_DIGITS = 100


def say(line: str) -> None:
    """Print a line of progress."""
    _progress.print(line, markup=False)


def print_table(machine: Machine, figures: Iterable[tuple[Figure, str]]) -> None:
    """Print the machine and all figures, each with the command that measures it."""
    console = Console(highlight=False)
    table = Table(
        Column("what"),
        Column("ours", justify="right"),
        Column("compared with"),
        Column("theirs", justify="right"),
        Column("ratio", justify="right"),
        Column("wanted"),
        Column("reached"),
        Column("command"),
        box=None,
        pad_edge=False,
    )
    for figure, command in figures:
        table.add_row(*_cells(figure), command)
    if not console.is_terminal:
        console.width = _WIDTH
    console.print(str(machine), markup=False)
    console.print(table)


def _cells(figure: Figure) -> list[str | Text]:
    return [
        figure.what,
        _amount(figure.ours, figure.unit),
        figure.against or "",
        "" if figure.theirs is None else _amount(figure.theirs, figure.unit),
        "" if figure.ratio is None else f"{figure.ratio:.2f} x",
        "" if figure.bounds is None else figure.bounds.words(figure.unit),
        _REACHED[figure.reached],
    ]


def _amount(value: float, unit: str) -> str:
    return f"{value:,.0f} {unit}" if value >= _DIGITS else f"{value:.3g} {unit}"
