"""`kasparro ingest`: the ingestor without a server, or one run of each source."""

from collections.abc import Sequence

import click

from common.logs import configure_logging
from common.settings import Settings, SettingsError, load_settings
from db.schema.logins import login_or_warn
from db.schema.migrate import migrate
from db.write.runs import FinishedRun
from ingestor.run.once import BUSY_TIMEOUT_SECONDS, run_once
from ingestor.sources import polled, refuse_streams
from kasparro.cli.common.database import open_database
from kasparro.cli.common.one_shot import run_to_end
from kasparro.cli.common.reports import end_with_runs, print_runs
from kasparro.cli.common.sources import check_source_settings
from kasparro.supervise.single import run_single

BUSY = f"not run: another ingestor was running it for {BUSY_TIMEOUT_SECONDS:g} s"


@click.command("ingest")
@click.option("--once", is_flag=True, help="Run each source once in this process, then exit.")
@click.option(
    "--source",
    "sources",
    multiple=True,
    metavar="NAME",
    help="Only this source; repeatable.",
)
@click.option(
    "--full",
    is_flag=True,
    help="With --once: ignore checkpoints and validators.",
)
@click.option("--json", "as_json", is_flag=True, help="With --once: print the runs as JSON.")
def command(*, once: bool, sources: tuple[str, ...], full: bool, as_json: bool) -> None:
    """Start the ingestor alone, or run sources once.

    \b
    Exit codes of --once: 0 every run succeeded, 3 records were rejected, 4 a run failed or did
    not start.
    """  # noqa: D301 - \b keeps click from wrapping
    settings = load_settings()
    _check(settings, sources)
    check_source_settings(settings)
    if not once:
        if full or as_json:
            raise click.UsageError("--full and --json need --once")
        run_single(settings, ["ingestor", "--only", *sources] if sources else ["ingestor"])
        return
    refuse_streams(sources, "--once")
    configure_logging(settings)
    runs = run_to_end(lambda: _run_once(settings, sources, full=full))
    print_runs(runs, as_json=as_json)
    end_with_runs(sources or polled(settings.sources), runs, BUSY)


def _check(settings: Settings, sources: Sequence[str]) -> None:
    unknown = next((name for name in sources if name not in settings.sources), None)
    if unknown is not None:
        raise SettingsError(f"{unknown!r} is not one of SOURCES={','.join(settings.sources)}")


async def _run_once(settings: Settings, sources: Sequence[str], *, full: bool) -> list[FinishedRun]:
    async with open_database(settings) as dsn:
        await migrate(dsn)
        return await run_once(settings, await login_or_warn(dsn, "ingestor"), sources, full=full)
