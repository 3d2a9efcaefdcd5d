"""`kasparro status`: each source at a glance."""

import datetime
from collections.abc import Sequence

import click
from rich.console import Console
from rich.filesize import decimal
from rich.table import Column, Table
from rich.text import Text

from common.settings import Settings
from db.connect.pool import connect
from db.read.quality import DoubtfulCoin
from db.read.registry import RegistryReading
from db.read.streams import StreamStatus
from db.schema.migrate import status as migration_status
from kasparro.cli.common.database import open_database
from kasparro.cli.common.errors import CommandError
from kasparro.cli.common.folder_size import folder_bytes
from kasparro.cli.common.one_shot import run_to_end
from kasparro.cli.common.reports import STYLES, open_screen, print_words
from kasparro.cli.common.status import SourceStatus, Status, read_status
from kasparro.cli.common.terminal import cell, say, say_json
from kasparro.cli.common.which import demo_option, settings_for
from kasparro.supervise.process_lock import find_lock_holder

_COLUMNS = (
    Column("source"),
    Column("health"),
    Column("last run"),
    Column("read", justify="right"),
    Column("rejected", justify="right"),
    Column("changed", justify="right"),
    Column("notes", justify="right"),
    Column("listings", justify="right"),
    Column("checkpoint"),
    Column("next run"),
)
STATEMENT_TIMEOUT_SECONDS = 30.0
LOCK_TIMEOUT_SECONDS = 5.0
MAX_NOTES = 3
"""Of a source's last run; `--json` has all of them."""
_UNITS = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))


@click.command("status")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@demo_option
def command(*, as_json: bool, demo: bool | None) -> None:
    """Show each source's health and last run, and the worst coins.

    It also tells what the database takes of the disk, and what the last runs noted.
    """
    settings = settings_for(demo)
    status = run_to_end(lambda: _read(settings))
    if as_json:
        say_json(status)
    else:
        _print(status, datetime.datetime.now(datetime.UTC))


async def _read(settings: Settings) -> Status:
    async with open_database(settings) as dsn:
        if (await migration_status(dsn)).pending:
            raise CommandError(
                "the database is not at the schema of this version: run `kasparro migrate`"
            )
        connection = await connect(
            dsn,
            application_name="kasparro status",
            statement_timeout_seconds=STATEMENT_TIMEOUT_SECONDS,
            lock_timeout_seconds=LOCK_TIMEOUT_SECONDS,
        )
        try:
            return await read_status(
                connection, find_lock_holder(settings.home), _disk_bytes(settings)
            )
        finally:
            await connection.close()


def _print(status: Status, now: datetime.datetime) -> None:
    running = status.running
    where = (
        f"Kasparro runs at {running.url} (process {running.pid})"
        if running
        else "no `kasparro up` runs here"
    )
    say(f"{status.coins:,} coins{' (demo: prices are made up)' if status.demo else ''}; {where}")
    say(_size(status))
    for problem in status.problems:
        say(f"problem: {problem}")
    if not status.sources:
        click.echo("no source has run yet: start `kasparro up`, or `kasparro ingest --once`")
        return
    table = Table(*_COLUMNS, box=None)
    for source in status.sources:
        table.add_row(*_row(source, now))
    screen = open_screen()
    screen.print(table)
    for source in status.sources:
        if source.stream is not None:
            say(_stream(source.stream))
    for reading in status.registries:
        say(_registry(reading, now))
    for source in status.sources:
        if source.last_run:
            print_words(screen, source.last_run, MAX_NOTES)
    if status.worst:
        _print_worst(screen, status.worst, now)


def _disk_bytes(settings: Settings) -> int | None:
    return (
        folder_bytes((settings.home / "postgres").resolve())
        if settings.database_url is None
        else None
    )


def _size(status: Status) -> str:
    """Return the database's size, and the sizes of bodies and history, which expire."""
    sizes = status.sizes
    on_disk = "" if status.disk_bytes is None else f"{decimal(status.disk_bytes)} on disk: "
    return (
        f"{on_disk}database {decimal(sizes.database_bytes)}, of that bodies "
        f"{decimal(sizes.raw.bytes)}, history {decimal(sizes.history_bytes)}"
    )


def _registry(reading: RegistryReading, now: datetime.datetime) -> str:
    """Return the line of a source's contract addresses."""
    text = f"addresses of {reading.source}: "
    if reading.read_at is None:
        text += "not read yet"
    else:
        counts = f"{reading.addresses:,} of {reading.listings:,} listings"
        text += f"{counts}, read {_when(reading.read_at, now)}"
    if reading.due_at is not None:
        text += f", next {_when(reading.due_at, now)}"
    return text if reading.error is None else f"{text}; the last reading failed: {reading.error}"


def _print_worst(screen: Console, worst: Sequence[DoubtfulCoin], now: datetime.datetime) -> None:
    table = Table("worst", "name", "why", box=None)
    for coin in worst:
        table.add_row(cell(coin.ticker), cell(coin.name or ""), cell(_why(coin, now)))
    screen.print()
    screen.print(table)


def _why(coin: DoubtfulCoin, now: datetime.datetime) -> str:
    if coin.flaw == "spread":
        return f"its sources' prices lie {coin.price_spread_percent:.3g} % apart"
    if coin.flaw == "stale":
        return f"stale: {coin.source} observed it {_when(coin.observed_at, now)}"
    claim = "other claims" if coin.rival_count == 1 else "others claim"
    return f"{coin.rival_count:,} {claim} its ticker"


def _row(status: SourceStatus, now: datetime.datetime) -> list[str | Text]:
    source, run, checkpoint = status.source, status.last_run, status.checkpoint
    health = (
        Text(source.health, STYLES[source.health]) if source.enabled else Text("disabled", "dim")
    )
    cells: list[str | Text] = [cell(source.name), health]
    if status.stream is not None:
        cells += [_last_message(status.stream, now), "", "", "", ""]
    elif run is None:
        cells += ["never", "", "", "", ""]
    else:
        last_run = Text.assemble(
            (run.status, STYLES[run.status]), f", {_when(run.finished_at or run.started_at, now)}"
        )
        counts = (run.processed, run.failed, run.changed, run.note_count)
        cells += [last_run, *(f"{count:,}" for count in counts)]
    cells.append(f"{status.listings:,}")
    cells.append(_when(checkpoint.updated_at, now) if checkpoint else "")
    cells.append(_when(source.next_run_at, now) if source.next_run_at else "")
    return cells


def _last_message(stream: StreamStatus, now: datetime.datetime) -> str:
    if stream.last_message_at is None:
        return "no message yet"
    return f"message {_when(stream.last_message_at, now)}"


def _stream(stream: StreamStatus) -> str:
    """Return the line of a stream, with what keeps it from delivering."""
    text = (
        f"stream of {stream.source}: {stream.state}, {stream.messages_per_second:,.1f} messages a"
        f" second, {stream.reconnects:,} reconnects, {stream.gaps:,} gaps"
    )
    return text if stream.problem is None else f"{text}; {stream.problem}"


def _when(moment: datetime.datetime, now: datetime.datetime) -> str:
    """Return `12 s ago` or `in 3 min`."""
    seconds = round((moment - now).total_seconds())
    size, unit = next(((size, unit) for size, unit in _UNITS if abs(seconds) >= size), (1, "s"))
    amount = f"{abs(seconds) // size} {unit}"
    return f"in {amount}" if seconds > 0 else f"{amount} ago"
