"""`kasparro trigger`: request a run, as the API does."""

import asyncio
from collections.abc import Sequence

import click
import msgspec

from common.settings import Settings
from db.connect.pool import connect
from db.connect.types import Connection
from db.read.requests import requests_by_id
from db.read.runs import RunRow, runs_of_requests
from db.requests import add_request
from db.schema.migrate import migrate
from db.sources import enabled_sources
from kasparro.cli.common.database import find_running
from kasparro.cli.common.errors import CommandError, CommandRefusedError
from kasparro.cli.common.one_shot import run_to_end
from kasparro.cli.common.reports import end_with_runs, print_runs
from kasparro.cli.common.terminal import say, say_json
from kasparro.cli.common.which import demo_option, settings_for

LOOK_SECONDS = 0.2
NOT_RUN = "not run: no ingestor has this source any more"


class TriggerOutcome(msgspec.Struct, frozen=True):
    """A request, and its runs if they were waited for."""

    request: int
    sources: list[str]
    runs: list[RunRow] | None = None


@click.command("trigger")
@click.option(
    "--source",
    "sources",
    multiple=True,
    metavar="NAME",
    help="Only this source; repeatable.",
)
@click.option("--full", is_flag=True, help="Ignore checkpoints and validators.")
@click.option("--wait", is_flag=True, help="Wait for the runs to end and print them.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@demo_option
def command(
    *, sources: tuple[str, ...], full: bool, wait: bool, as_json: bool, demo: bool | None
) -> None:
    """Request a run of the running ingestor.

    The request is saved in the database: an ingestor that starts later serves it too.

    \b
    Exit codes of --wait: 0 every run succeeded, 3 records were rejected, 4 a run failed or did
    not start.
    """  # noqa: D301 - \b keeps click from wrapping
    settings = settings_for(demo)
    outcome = run_to_end(lambda: _trigger(settings, sources, full=full, wait=wait))
    if as_json:
        say_json(outcome)
    elif outcome.runs is None:
        say(f"request {outcome.request}: {', '.join(outcome.sources)}")
    else:
        print_runs(outcome.runs, as_json=False)
    if outcome.runs is not None:
        end_with_runs(outcome.sources, outcome.runs, NOT_RUN)


async def _trigger(
    settings: Settings, names: Sequence[str], *, full: bool, wait: bool
) -> TriggerOutcome:
    dsn = settings.database_url or await find_running(settings)
    if dsn is None:
        raise CommandError(
            f"no Kasparro runs on {settings.home}: start `kasparro up`, or run sources with "
            "`kasparro ingest --once`"
        )
    await migrate(dsn)
    connection = await connect(dsn, application_name="kasparro trigger")
    try:
        chosen = await _choose(connection, names)
        request = await add_request(connection, chosen, full=full)
        return TriggerOutcome(request, chosen, await _wait(connection, request) if wait else None)
    finally:
        await connection.close()


async def _choose(connection: Connection, names: Sequence[str]) -> list[str]:
    enabled = await enabled_sources(connection)
    if not enabled:
        raise CommandError(
            "no ingestor has worked on this database yet: start one with `kasparro up`"
        )
    unknown = next((name for name in names if name not in enabled), None)
    if unknown is not None:
        raise CommandRefusedError(
            f"{unknown!r} is not a source of the running ingestor: it has {', '.join(enabled)}"
        )
    return list(dict.fromkeys(names)) or enabled


async def _wait(connection: Connection, request: int) -> list[RunRow]:
    while True:
        rows = await requests_by_id(connection, [request])
        if rows[request].status == "done":
            runs = await runs_of_requests(connection, [request])
            return runs.get(request, [])
        await asyncio.sleep(LOOK_SECONDS)
