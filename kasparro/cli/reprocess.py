"""`kasparro reprocess`: rebuild everything from the stored bodies after a fix."""

import asyncio
import contextlib
import datetime
import sys
from collections.abc import Iterator, Sequence

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Column, Table

from common.logs import configure_logging
from common.settings import Settings, SettingsError, load_settings
from common.times import UnreadableTimeError, read_span
from db.connect.pool import create_pool
from db.schema.migrate import migrate
from ingestor.reprocess import ReprocessBusyError, ReprocessReport, reprocess
from ingestor.reprocess.job import OnProgress
from ingestor.run.startup import close_sources, retention_of
from ingestor.sources import create_sources, polled, refuse_streams
from kasparro.cli.common.database import open_database
from kasparro.cli.common.errors import RUN_PARTIAL, CommandRefusedError
from kasparro.cli.common.reports import open_screen
from kasparro.cli.common.terminal import cell, say_json
from kasparro.demo.state import demo_settings

_SAMPLE_LENGTH = 40
"""The length of a sample's value."""


def _instant(_: click.Context, __: click.Parameter, value: str | None) -> datetime.datetime | None:
    """Return the start of an ISO 8601 date or time, by default in UTC.

    Raises click's BadParameter.
    """
    try:
        return None if value is None else read_span(value).start
    except UnreadableTimeError as error:
        raise click.BadParameter(str(error)) from None


@click.command("reprocess")
@click.option(
    "--source", "names", multiple=True, metavar="NAME", help="Only this source; repeatable."
)
@click.option(
    "--since",
    callback=_instant,
    metavar="WHEN",
    help="Only payloads that arrived since this ISO date or time.",
)
@click.option(
    "--dry-run", is_flag=True, help="Change nothing; print what would change, with samples."
)
@click.option(
    "--full",
    is_flag=True,
    help="Compare the whole history, also what this code has read: after `kasparro verify`.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--demo", is_flag=True, help="Reprocess the demo.")
def command(
    *,
    names: tuple[str, ...],
    since: datetime.datetime | None,
    dry_run: bool,
    full: bool,
    as_json: bool,
    demo: bool,
) -> None:
    """Rebuild everything from the stored bodies after a fix.

    Listings, coins, history and candles become what they would be with the present code. The
    service may run meanwhile; readers see the old state until the new one is complete. After an
    interruption the same command resumes. Rejected records are retried.

    \b
    Exit codes: 0 done, 3 done, but some payloads cannot be read.

    \f
    Raises SettingsError, CommandRefusedError.
    """  # noqa: D301 - \b keeps click from wrapping, \f ends its help
    settings = load_settings()
    settings = demo_settings(settings) if demo else settings
    unknown = next((name for name in names if name not in settings.sources), None)
    if unknown is not None:
        raise SettingsError(f"{unknown!r} is not one of SOURCES={','.join(settings.sources)}")
    refuse_streams(names, "reprocess")
    configure_logging(settings)
    try:
        with _bars() as on_progress:
            report = asyncio.run(
                _reprocess(
                    settings,
                    names or polled(settings.sources),
                    since,
                    dry_run=dry_run,
                    full=full,
                    on_progress=on_progress,
                )
            )
    except ReprocessBusyError as error:
        raise CommandRefusedError(str(error)) from None
    if as_json:
        say_json(report)
    else:
        _print(report)
    raise click.exceptions.Exit(
        RUN_PARTIAL if any(source.failed for source in report.sources) else 0
    )


async def _reprocess(
    settings: Settings,
    names: Sequence[str],
    since: datetime.datetime | None,
    *,
    dry_run: bool,
    full: bool,
    on_progress: OnProgress,
) -> ReprocessReport:
    async with open_database(settings) as dsn:
        await migrate(dsn)
        sources = create_sources(settings)
        try:
            async with await create_pool(
                dsn, application_name="kasparro reprocess", max_size=2
            ) as pool:
                return await reprocess(
                    pool,
                    sources,
                    names,
                    since=since,
                    retention=retention_of(settings),
                    dry_run=dry_run,
                    full=full,
                    on_progress=on_progress,
                )
        finally:
            await close_sources(sources)


@contextlib.contextmanager
def _bars() -> Iterator[OnProgress]:
    """Show a bar for each source on standard error, if it is a terminal."""
    tasks: dict[str, TaskID] = {}
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("payloads"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
    ) as progress:

        def show(source: str, done: int, total: int) -> None:
            if source not in tasks:
                tasks[source] = progress.add_task(source)
            progress.update(tasks[source], completed=done, total=total)

        yield show


def _print(report: ReprocessReport) -> None:
    """Print a line for each changed table and field, and below it the first samples."""
    screen = open_screen()
    table = Table("source", *(_right(name) for name in ("read", "unreadable", "listings changed")))
    table.box = None
    for source in report.sources:
        table.add_row(
            cell(source.source),
            *(f"{count:,}" for count in (source.processed, source.failed, source.changed)),
        )
    screen.print(table)
    if not report.changes:
        screen.print("Nothing would change." if report.dry_run else "Nothing changed.")
        return
    for change in report.changes:
        screen.print(
            f"{change.table}, {change.field}: {change.rows:,} rows", markup=False, style="bold"
        )
        for sample in change.samples:
            screen.print(cell(f"    {sample.id}: {_short(sample.old)} -> {_short(sample.new)}"))
    if report.dry_run:
        screen.print("This is what would change; nothing was written.")


def _short(value: str | None) -> str:
    if value is None:
        return "-"
    return value if len(value) <= _SAMPLE_LENGTH else f"{value[: _SAMPLE_LENGTH - 1]}…"


def _right(name: str) -> Column:
    return Column(name, justify="right")
