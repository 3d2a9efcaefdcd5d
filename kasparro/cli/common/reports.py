"""Print finished runs, as a table or as JSON, and end with their exit code."""

from collections.abc import Collection, Sequence
from typing import NoReturn

import click
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from db.notes import decode_notes
from db.read.runs import RunRow
from db.write.runs import FinishedRun
from kasparro.cli.common.errors import RUN_FAILED, RUN_PARTIAL
from kasparro.cli.common.terminal import cell, say, say_json, with_count

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
"""The width of the tables; a narrower terminal wraps their lines, a pipe gets complete ones."""


def open_screen() -> Console:
    """Return the console for tables: plain text if standard output is not a terminal."""
    screen = Console(highlight=False, soft_wrap=True)
    screen.width = max(screen.width, WIDTH)
    return screen


def end_with_runs(
    sources: Collection[str], runs: Sequence[FinishedRun | RunRow], without_run: str
) -> NoReturn:
    """End the command with the exit code of the worst run: 3 for rejected records, 4 for a failure.

    Prints `without_run` for each source without a run. The last run of a source counts: after a
    crash another run continues a request. Raises click's Exit.
    """
    statuses = {run.source: run.status for run in runs}
    for source in sources:
        if source not in statuses:
            say(f"{source}: {without_run}", err=True)
    seen = {statuses.get(source) for source in sources}
    if seen - {"success", "partial"}:
        raise click.exceptions.Exit(RUN_FAILED)
    raise click.exceptions.Exit(RUN_PARTIAL if "partial" in seen else 0)


def print_runs(runs: Sequence[FinishedRun | RunRow], *, as_json: bool) -> None:
    """Print a line for each run and, below the table, the message and the notes of each."""
    if as_json:
        say_json(runs)
        return
    names = ("read", "rejected", "changed", "unchanged", "notes", "ms")
    table = Table("source", "status", *(_right(name) for name in names))
    table.box = None
    for run in runs:
        counts = (
            run.processed,
            run.failed,
            run.changed,
            run.unchanged,
            run.note_count,
            _milliseconds(run),
        )
        table.add_row(
            cell(run.source),
            Text(run.status, STYLES[run.status]),
            *(f"{count:,}" for count in counts),
        )
    screen = open_screen()
    screen.print(table)
    for run in runs:
        print_words(screen, run)


def print_words(screen: Console, run: FinishedRun | RunRow, most_notes: int | None = None) -> None:
    """Print a run's message and notes, a line each; beyond `most_notes` only their number."""
    if run.message:
        screen.print(cell(f"{run.source}: {run.message}"))
    notes = decode_notes(run.notes)
    for note in notes[:most_notes]:
        screen.print(cell(f"{run.source}: note: {with_count(note)}"))
    beyond = 0 if most_notes is None else len(notes) - most_notes
    if beyond > 0:
        screen.print(
            cell(f"{run.source}: and {beyond:,} more {'note' if beyond == 1 else 'notes'}")
        )


def _right(name: str) -> Column:
    return Column(name, justify="right")


def _milliseconds(run: FinishedRun | RunRow) -> int:
    return (
        0
        if run.finished_at is None
        else round((run.finished_at - run.started_at).total_seconds() * 1000)
    )
