"""Finished runs, for a person or for a script."""

from collections.abc import Collection, Sequence
from typing import NoReturn

import click
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from db.run_pages import RunRow
from db.runs import FinishedRun
from kasparro.errors import RUN_FAILED, RUN_PARTIAL
from kasparro.terminal import cell, say, say_json

STYLES = {
    "success": "green",
    "ok": "green",
    "partial": "yellow",
    "degraded": "yellow",
    "running": "cyan",
    "unknown": "dim",
    "abandoned": "red",
    "failure": "red",
    "down": "red",
}
"""The colour of a run's status and of a source's health."""


WIDTH = 100
"""What the tables need; a narrower terminal wraps their lines, a pipe gets them whole."""


def open_screen() -> Console:
    """Return where a command prints for a person: plain text where standard output is no terminal."""
    screen = Console(highlight=False, soft_wrap=True)
    screen.width = max(screen.width, WIDTH)
    return screen


def end_with_runs(asked: Collection[str], runs: Sequence[FinishedRun | RunRow], without_run: str) -> NoReturn:
    """End the command with the code of the worst run; a line says of each source without one that it is `without_run`.

    3 where records were rejected, 4 where a run did not get to its end. A source's last run counts: after a crash a
    request goes on with another one.
    """
    statuses = {run.source: run.status for run in runs}
    for source in asked:
        if source not in statuses:
            say(f"{source}: {without_run}", err=True)
    seen = {statuses.get(source) for source in asked}
    if seen - {"success", "partial"}:
        raise click.exceptions.Exit(RUN_FAILED)
    raise click.exceptions.Exit(RUN_PARTIAL if "partial" in seen else 0)


def print_runs(runs: Sequence[FinishedRun | RunRow], *, as_json: bool) -> None:
    """Print a line for each run and, below the table, what each had to say."""
    if as_json:
        say_json(runs)
        return
    table = Table("source", "status", *(_right(name) for name in ("read", "rejected", "changed", "unchanged", "ms")))
    table.box = None
    for run in runs:
        counts = (run.processed, run.failed, run.changed, run.unchanged, _milliseconds(run))
        table.add_row(cell(run.source), Text(run.status, STYLES[run.status]), *(f"{count:,}" for count in counts))
    screen = open_screen()
    screen.print(table)
    for run in runs:
        if run.message:
            screen.print(cell(f"{run.source}: {run.message}"))


def _right(name: str) -> Column:
    return Column(name, justify="right")


def _milliseconds(run: FinishedRun | RunRow) -> int:
    return 0 if run.finished_at is None else round((run.finished_at - run.started_at).total_seconds() * 1000)
