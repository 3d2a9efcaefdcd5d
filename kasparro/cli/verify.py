"""`kasparro verify`: compare everything in the database with what it is derived from."""

import contextlib
import os
import sys
from collections.abc import Iterator

import click
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from common.logs import configure_logging
from common.settings import Settings
from db.connect.pool import create_pool
from db.schema.migrate import status as migration_status
from db.verify.differences import CheckOutcome
from ingestor.run.startup import close_sources, retention_of
from ingestor.sources import create_sources
from kasparro.cli.common.database import open_database
from kasparro.cli.common.errors import FAILED, REFUSED, CommandError, explain
from kasparro.cli.common.one_shot import run_to_end
from kasparro.cli.common.reports import open_screen
from kasparro.cli.common.terminal import cell, say, say_json
from kasparro.cli.common.which import demo_option, settings_for
from kasparro.verify.checks import OnStep, VerifyReport, verify
from kasparro.verify.history import CONNECTIONS
from kasparro.verify.workers import DecodingProcesses

MOST_PROCESSES = 2
"""Processes that decode payloads: the service runs beside them."""
_EXAMPLES = 5
_LENGTH = 160
"""The length of an example's value."""


@click.command("verify")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--examples",
    type=click.IntRange(0, 1000),
    default=_EXAMPLES,
    show_default=True,
    help="Print at most so many differences of each check.",
)
@demo_option
def command(*, as_json: bool, examples: int, demo: bool | None) -> None:
    """Compare everything in the database with what it is derived from.

    Coins with their listings, listings and points with their payloads, candles with their points,
    numbers with the rows that they count, events, partitions. It writes nothing, and the service
    may run meanwhile.

    \b
    Exit codes: 0 all holds, 1 something differs, 2 it could not be checked.

    \f
    Raises click's Exit.
    """  # noqa: D301 - \b keeps click from wrapping, \f ends its help
    try:
        settings = settings_for(demo)
        configure_logging(settings)
        with _steps() as on_step:
            report = run_to_end(lambda: _verify(settings, examples, on_step))
    except (click.ClickException, click.exceptions.Exit, click.Abort):
        raise
    except Exception as error:
        explanation = explain(error)
        if explanation is None:
            raise
        say(f"Error: {explanation[0]}", err=True)
        raise click.exceptions.Exit(REFUSED) from error
    if as_json:
        say_json(report)
    else:
        _print(report)
    raise click.exceptions.Exit(0 if report.holds else FAILED)


async def _verify(settings: Settings, examples: int, on_step: OnStep) -> VerifyReport:
    async with open_database(settings) as dsn:
        if (await migration_status(dsn)).pending:
            raise CommandError(
                "the database is not at the schema of this version: run `kasparro migrate`"
            )
        sources = create_sources(settings)
        try:
            async with await create_pool(
                dsn, application_name="kasparro verify", max_size=CONNECTIONS
            ) as pool:
                return await verify(
                    pool,
                    sources,
                    retention_of(settings),
                    limit=examples,
                    on_step=on_step,
                    workers=DecodingProcesses(
                        min(MOST_PROCESSES, os.cpu_count() or 1), dsn, settings
                    ),
                )
        finally:
            await close_sources(sources)


@contextlib.contextmanager
def _steps() -> Iterator[OnStep]:
    """Show the present step on standard error, if it is a terminal."""
    screen = Console(stderr=True)
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    with screen.status("") as line:
        yield lambda step: line.update(Text(f"checking {step}"))


def _print(report: VerifyReport) -> None:
    """Print a line for each check, and below the table the examples of those that differ."""
    screen = open_screen()
    table = Table(
        "check", Column("rows", justify="right"), Column("differ", justify="right"), "what holds"
    )
    table.box = None
    for check in report.checks:
        differ = Text(f"{check.differences:,}", "bold red" if check.differences else "green")
        table.add_row(cell(check.name), f"{check.rows:,}", differ, cell(check.rule))
    screen.print(table)
    for check in report.checks:
        for note in check.notes:
            screen.print(cell(f"{check.name}: {note}"))
    different = [check for check in report.checks if check.differences]
    for check in different:
        screen.print()
        _print_examples(screen, check)
    total = sum(check.differences for check in different)
    say(f"{_values(total)}." if different else "All holds.")


def _print_examples(screen: Console, check: CheckOutcome) -> None:
    screen.print(cell(f"{check.name}: {_values(check.differences)}", "bold"))
    for one in check.examples:
        screen.print(
            cell(f"    {one.where}, {one.what}: {_short(one.stored)}, not {_short(one.expected)}")
        )
    left = check.differences - len(check.examples)
    if left:
        screen.print(cell(f"    and {left:,} more"))
    screen.print(cell(f"    to do: {check.remedy}"))


def _values(count: int) -> str:
    return "1 value differs" if count == 1 else f"{count:,} values differ"


def _short(value: str | None) -> str:
    if value is None:
        return "(none)"
    return value if len(value) <= _LENGTH else f"{value[: _LENGTH - 1]}…"
