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


class ExportDone(msgspec.Struct, frozen=True):
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
    "--format", "form", type=click.Choice(list(FORMATS)), help="Else the suffix of FILE says it."
)
@click.option(
    "--out", metavar="FILE", help="Where to; - is standard output.  [default: kasparro-TIME.csv]"
)
@click.option(
    "--ticker", "more_tickers", multiple=True, metavar="TICKER", help="The same as TICKER."
)
@click.option(
    "--source",
    "sources",
    multiple=True,
    metavar="NAME",
    help="Only of this source; may be given again.",
)
@click.option(
    "--start-date",
    "start",
    callback=_read_time(lambda span: span.start),
    metavar="TIME",
    help="Observed then or later.",
)
@click.option(
    "--end-date",
    "end",
    callback=_read_time(lambda span: span.end),
    metavar="TIME",
    help="Observed then or earlier.",
)
@click.option("--history", is_flag=True, help="Price points in place of the records of now.")
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

    All of them, or those of TICKER... alone. TIME is an ISO 8601 date, week or date-time, in UTC
    where it names no zone; the date or week of an end means all of it. FILE appears once it is
    whole.
    """
    settings = settings_for(demo, lasting=True)
    wanted = Export(
        dataset=HISTORY if history else RECORDS,
        form=FORMATS[form or _format_of(out)],
        selection=ExportQuery(
            tickers=_normalized((*tickers, *more_tickers)),
            sources=sources or None,
            start=start,
            end=end,
        ),
    )
    try:
        encoder = wanted.encoder()
    except ArrowMissingError as error:
        raise CommandRefusedError(str(error)) from None
    with contextlib.ExitStack() as stack:
        # What was named is tried at once; only the database knows whether another name must say
        # "demo".
        output = None if out is None else stack.enter_context(open_output(out))

        def named(name: str) -> Output:
            return output or stack.enter_context(open_output(name))

        # With asyncio's own loop, reading from the database takes twice the time.
        done = uvloop.run(_export(settings, wanted, encoder, named))
    things = f"{'made-up ' if done.is_demo else ''}{'price points' if history else 'records'}"
    say(
        f"{done.rows:,} {things} as {wanted.form.name}, {decimal(done.size)}: {done.name}", err=True
    )


def _format_of(out: str | None) -> str:
    if out is None:
        return "csv"
    form = None if out == STDOUT else _SUFFIXES.get(Path(out).suffix.lower())
    if form is None:
        raise click.UsageError(f"--format must say which format: {', '.join(FORMATS)}")
    return form


def _normalized(tickers: Sequence[str]) -> list[str] | None:
    found = {to_ticker(ticker) for ticker in tickers}
    if any(not ticker or "\0" in ticker for ticker in found):
        raise click.UsageError("a TICKER cannot be empty")
    return sorted(found) or None


async def _export(
    settings: Settings, wanted: Export, encoder: FormatEncoder, named: Callable[[str], Output]
) -> ExportDone:
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
                await check_tickers(connection, wanted)
                made_up = await is_demo(connection)
                output = named(
                    wanted.form.file_name(datetime.datetime.now(datetime.UTC), is_demo=made_up)
                )
                rows = await _write(connection, wanted, encoder, output)
                return ExportDone(rows, output.size, output.name, made_up)
            except NoSuchTickerError as error:
                raise CommandError(f"{error}: nothing was written") from None
            finally:
                await connection.close()
    except asyncio.CancelledError:
        raise CommandError("stopped before the end; nothing is left of the file") from None


async def _write(
    connection: Connection, wanted: Export, encoder: FormatEncoder, output: Output
) -> int:
    async def write(block: bytes) -> None:
        output.write(block)

    try:
        if not sys.stderr.isatty():
            return await write_export(connection, wanted, encoder, write)
        # A fifth of the start, for nobody elsewhere.
        from kasparro.cli.common.progress import shown  # noqa: PLC0415

        total = await count_rows(connection, wanted.dataset, wanted.selection)
        with shown(encoder, output.name, total) as counted:
            return await write_export(connection, wanted, counted, write)
    except OutputError:
        raise
    except Exception as error:
        if not is_unavailable(error):
            raise
        raise CommandError(
            "the database went away before the end; nothing is left of the file"
        ) from error
