"""`kasparro export`: merged records, or their history, as a file."""

import asyncio
import contextlib
import datetime
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import click
import msgspec
import uvloop
from rich.filesize import decimal

from common.settings import Settings
from common.tickers import to_ticker
from common.times import TimeSpan, UnreadableTimeError, read_span
from db.connect.pool import connect, is_unavailable
from db.connect.types import Connection
from db.demo import is_demo
from db.export.formats import FORMATS, ArrowMissingError, FormatEncoder
from db.export.rows import (
    HISTORY,
    RECORDS,
    Export,
    ExportQuery,
    NoSuchTickerError,
    check_tickers,
    count_rows,
    write_export,
)
from db.schema.migrate import status as migration_status
from kasparro.cli.common.database import open_database
from kasparro.cli.common.errors import CommandError, CommandRefusedError
from kasparro.cli.common.output import STDOUT, Output, OutputError, open_output
from kasparro.cli.common.terminal import say
from kasparro.cli.common.which import demo_option, settings_for

_SUFFIXES = {
    ".csv": "csv",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".parquet": "parquet",
} | dict.fromkeys((".arrow", ".arrows"), "arrow")

Time = datetime.datetime | None


class ExportResult(msgspec.Struct, frozen=True):
    """A file that was written."""

    rows: int
    size: int
    name: str
    is_demo: bool


def _read_time(
    end: Callable[[TimeSpan], datetime.datetime],
) -> Callable[[click.Context, click.Parameter, str | None], Time]:
    def read(_: click.Context, __: click.Parameter, text: str | None) -> Time:
        try:
            return None if text is None else end(read_span(text))
        except UnreadableTimeError as error:
            raise click.BadParameter(str(error)) from None

    return read


@click.command("export")
@click.argument("tickers", nargs=-1, metavar="[TICKER]...")
@click.option(
    "--format",
    "form",
    type=click.Choice(list(FORMATS)),
    help="By default the suffix of FILE decides.",
)
@click.option(
    "--out", metavar="FILE", help="Output file; - is standard output.  [default: kasparro-TIME.csv]"
)
@click.option("--ticker", "more_tickers", multiple=True, metavar="TICKER", help="Same as TICKER.")
@click.option(
    "--source",
    "sources",
    multiple=True,
    metavar="NAME",
    help="Only records of this source; repeatable.",
)
@click.option(
    "--start-date",
    "start",
    callback=_read_time(lambda span: span.start),
    metavar="TIME",
    help="Earliest time of observation.",
)
@click.option(
    "--end-date",
    "end",
    callback=_read_time(lambda span: span.end),
    metavar="TIME",
    help="Latest time of observation.",
)
@click.option("--history", is_flag=True, help="Price points instead of current records.")
@demo_option
def command(
    *,
    tickers: tuple[str, ...],
    more_tickers: tuple[str, ...],
    form: str | None,
    out: str | None,
    sources: tuple[str, ...],
    start: Time,
    end: Time,
    history: bool,
    demo: bool | None,
) -> None:
    """Write records, or their history, to a file.

    All of them, or only those of TICKER... TIME is an ISO 8601 date, week or date-time, by default
    in UTC; an end date or week is included. FILE appears when it is complete.

    \f
    Raises CommandRefusedError.
    """  # noqa: D301 - \f ends click's help
    settings = settings_for(demo, lasting=True)
    export = Export(
        dataset=HISTORY if history else RECORDS,
        form=FORMATS[form or _format_of(out)],
        selection=ExportQuery(
            tickers=_normalize_tickers((*tickers, *more_tickers)),
            sources=sources or None,
            start=start,
            end=end,
        ),
    )
    try:
        encoder = export.encoder()
    except ArrowMissingError as error:
        raise CommandRefusedError(str(error)) from None
    with contextlib.ExitStack() as stack:
        # Fail early where a name is given; the default name depends on the database: a demo's
        # contains "demo".
        output = None if out is None else stack.enter_context(open_output(out))

        def open_named(name: str) -> Output:
            return output or stack.enter_context(open_output(name))

        # With asyncio's own loop, reading from the database takes twice the time.
        done = uvloop.run(_export(settings, export, encoder, open_named))
    things = f"{'made-up ' if done.is_demo else ''}{'price points' if history else 'records'}"
    say(
        f"{done.rows:,} {things} as {export.form.name}, {decimal(done.size)}: {done.name}", err=True
    )


def _format_of(out: str | None) -> str:
    if out is None:
        return "csv"
    form = None if out == STDOUT else _SUFFIXES.get(Path(out).suffix.lower())
    if form is None:
        raise click.UsageError(f"choose a --format: {', '.join(FORMATS)}")
    return form


def _normalize_tickers(tickers: Sequence[str]) -> list[str] | None:
    found = {to_ticker(ticker) for ticker in tickers}
    if any(not ticker or "\0" in ticker for ticker in found):
        raise click.UsageError("a TICKER cannot be empty")
    return sorted(found) or None


async def _export(
    settings: Settings, export: Export, encoder: FormatEncoder, open_named: Callable[[str], Output]
) -> ExportResult:
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - asyncio.run made it
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        async with open_database(settings) as dsn:
            if (await migration_status(dsn)).pending:
                raise CommandError(
                    "the database is not at the schema of this version: run `kasparro migrate`"
                )
            connection = await connect(dsn, application_name="kasparro export")
            try:
                await check_tickers(connection, export)
                demo = await is_demo(connection)
                output = open_named(
                    export.form.file_name(datetime.datetime.now(datetime.UTC), is_demo=demo)
                )
                rows = await _write(connection, export, encoder, output)
                return ExportResult(rows, output.size, output.name, demo)
            except NoSuchTickerError as error:
                raise CommandError(f"{error}: nothing was written") from None
            finally:
                await connection.close()
    except asyncio.CancelledError:
        raise CommandError("stopped before the end; no complete file was written") from None


async def _write(
    connection: Connection, export: Export, encoder: FormatEncoder, output: Output
) -> int:
    async def write(block: bytes) -> None:
        output.write(block)

    try:
        if not sys.stderr.isatty():
            return await write_export(connection, export, encoder, write)
        # A fifth of the start-up time, needed on a terminal only.
        from kasparro.cli.common.progress import with_progress  # noqa: PLC0415

        total = await count_rows(connection, export.dataset, export.selection)
        with with_progress(encoder, output.name, total) as counting:
            return await write_export(connection, export, counting, write)
    except OutputError:
        raise
    except Exception as error:
        if not is_unavailable(error):
            raise
        raise CommandError(
            "the connection to the database was lost; no complete file was written"
        ) from error
