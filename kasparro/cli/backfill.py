"""`kasparro backfill`: the past of coins, from a source that offers it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence

import click
import msgspec
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from common.display import printable
from common.logs import configure_logging
from common.settings import Settings, SettingsError
from db.connect.pool import connect
from db.connect.types import Connection
from db.schema.logins import login_or_warn
from db.schema.migrate import migrate
from db.write.backfill import Kind
from ingestor.backfill.job import (
    BackfillPlan,
    BackfillRefusedError,
    BackfillStep,
    BudgetSpentError,
    NamedBackfills,
    backfill,
    exclusive_backfill,
    plan_backfill,
)
from ingestor.run.startup import check_real, retention_of
from ingestor.sources import create_sources, refuse_streams
from ingestor.sources.errors import SourceError
from ingestor.sources.normalize import normalize_ticker
from ingestor.sources.records import RecordError, SupportsBackfill
from kasparro.cli.common.database import open_database
from kasparro.cli.common.errors import RUN_FAILED, RUN_PARTIAL, CommandRefusedError
from kasparro.cli.common.terminal import say, say_json
from kasparro.cli.common.which import demo_option, settings_for

MOST_DAYS = 36_500
STATEMENT_TIMEOUT_SECONDS = 300.0


class SkippedCoin(msgspec.Struct, frozen=True):
    """A coin whose past could not be read."""

    ticker: str
    external_id: str
    kind: Kind
    message: str


class BackfillReport(msgspec.Struct):
    """The result of a backfill; `left` coins remain, and `stopped` says why."""

    source: str
    days: int
    answered_before: int
    filled: int = 0
    points: int = 0
    left: int = 0
    skipped: list[SkippedCoin] = []
    stopped: str | None = None
    exit_code: int = 0

    def add(self, step: BackfillStep) -> None:
        """Count the result of a coin."""
        self.left -= 1
        if step.message is None:
            self.filled += 1
            self.points += step.answer.points
        else:
            coin = step.coin
            self.skipped.append(
                SkippedCoin(coin.ticker, coin.external_id, step.answer.kind, step.message)
            )


@click.command("backfill")
@click.option("--source", "name", required=True, metavar="NAME", help="The source to read.")
@click.option(
    "--days", type=click.IntRange(1, MOST_DAYS), required=True, help="How many days back."
)
@click.option(
    "--ticker",
    "tickers",
    multiple=True,
    metavar="TICKER",
    help="Only this coin; repeatable.",
)
@click.option("--again", is_flag=True, help="Read coins again that are complete already.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@demo_option
def command(
    *, name: str, days: int, tickers: tuple[str, ...], again: bool, as_json: bool, demo: bool | None
) -> None:
    """Fill the history of coins from a source's past prices.

    One call a coin, the largest coins first, within the month's call budget. After an interruption,
    or with a new budget, the same command resumes. Existing points stay unchanged.

    \b
    Exit codes: 0 done, 3 coins were skipped or are left for the next budget, 4 the source cannot
    be read.
    """  # noqa: D301 - \b keeps click from wrapping
    settings = settings_for(demo, market=True, lasting=True)
    configure_logging(settings)

    def report_line(line: str) -> None:
        say(line, err=as_json)

    report = asyncio.run(
        _backfill(settings, name, days, _normalize_tickers(tickers), again=again, say=report_line)
    )
    if as_json:
        say_json(report)
    else:
        _print(report)
    raise click.exceptions.Exit(report.exit_code)


def _normalize_tickers(tickers: Sequence[str]) -> list[str] | None:
    try:
        return sorted({normalize_ticker(ticker) for ticker in tickers}) or None
    except RecordError as error:
        raise CommandRefusedError(f"--ticker cannot be used: {error}") from None


async def _backfill(
    settings: Settings,
    name: str,
    days: int,
    tickers: list[str] | None,
    *,
    again: bool,
    say: Callable[[str], None],
) -> BackfillReport:
    async with _open_source(settings, name) as source, _connection(settings) as connection:
        try:
            if not settings.demo:
                await check_real(connection)
            async with exclusive_backfill(connection, name):
                limit = settings.history_retention_days
                if days > limit:
                    say(
                        f"history is kept for {limit:,} days (HISTORY_RETENTION_DAYS): older "
                        "prices are left out"
                    )
                work = await plan_backfill(
                    connection, source, min(days, limit), tickers=tickers, again=again
                )
                say(_announcement(work))
                return await _fill(connection, source, work, settings)
        except BackfillRefusedError as error:
            raise CommandRefusedError(str(error)) from None


@contextlib.asynccontextmanager
async def _open_source(settings: Settings, name: str) -> AsyncIterator[NamedBackfills]:
    if name not in settings.sources:
        raise SettingsError(f"{name!r} is not one of SOURCES={','.join(settings.sources)}")
    refuse_streams([name], "backfill")
    [source] = create_sources(msgspec.structs.replace(settings, sources=(name,)))
    try:
        if not isinstance(source, SupportsBackfill):
            raise CommandRefusedError(f"{name} does not offer past prices")
        yield source
    finally:
        await source.close()


@contextlib.asynccontextmanager
async def _connection(settings: Settings) -> AsyncIterator[Connection]:
    async with open_database(settings) as dsn:
        await migrate(dsn)
        connection = await connect(
            await login_or_warn(dsn, "ingestor"),
            application_name="kasparro backfill",
            statement_timeout_seconds=STATEMENT_TIMEOUT_SECONDS,
        )
        try:
            yield connection
        finally:
            await connection.close()


async def _fill(
    connection: Connection, source: NamedBackfills, work: BackfillPlan, settings: Settings
) -> BackfillReport:
    window = work.window
    report = BackfillReport(window.source, window.days, work.answered, left=len(work.coins))
    try:
        with _progress(len(work.coins)) as advance:
            async for step in backfill(connection, source, work, retention_of(settings)):
                report.add(step)
                advance(step.coin.ticker)
    except BudgetSpentError as error:
        report.stopped = str(error)
    except SourceError as error:
        report.stopped, report.exit_code = str(error), RUN_FAILED
    if not report.exit_code and (report.skipped or report.left):
        report.exit_code = RUN_PARTIAL
    return report


@contextlib.contextmanager
def _progress(total: int) -> Iterator[Callable[[str], None]]:
    """Show a progress bar on a terminal only."""
    screen = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns, console=screen, transient=True, disable=not screen.is_terminal
    ) as progress:
        task = progress.add_task("", total=total)

        def advance(ticker: str) -> None:
            progress.update(task, advance=1, description=escape(printable(ticker)))

        yield advance


def _announcement(work: BackfillPlan) -> str:
    window, count = work.window, len(work.coins)
    if not count:
        return (
            f"{window.source} is complete for {_some(work.answered, 'coin')} and "
            f"{_some(window.days, 'day')}: no calls needed; --again reads them again"
        )
    line = f"{window.source}: {_some(count, 'call')}, one a coin, for {_some(window.days, 'day')}"
    if work.answered:
        line += f"; complete already: {_some(work.answered, 'coin')}"
    if work.spare_calls is not None:
        line += f"; calls left this month besides the polls: {work.spare_calls:,}"
    return line


def _some(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _print(report: BackfillReport) -> None:
    for coin in report.skipped:
        say(f"{coin.ticker} ({coin.external_id}) was skipped: {coin.message}")
    if report.filled or report.skipped:
        filled = f"filled {_some(report.filled, 'coin')} with {_some(report.points, 'point')}"
        say(f"{filled}, {len(report.skipped):,} skipped")
    if report.stopped:
        say(f"{_some(report.left, 'coin')} left: {report.stopped}", err=True)
