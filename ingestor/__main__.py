"""The ingestor process: `python -m ingestor`.

Exit codes: 0 after a signal, 1 without a database of this schema, 2 for an invalid setting.
"""

import argparse
import functools
import signal
import sys
from collections.abc import Sequence

import anyio
import msgspec
import structlog
import uvloop

from common.display import sanitize
from common.logs import configure_logging
from common.settings import Settings, SettingsError, load_settings
from db.connect.pool import create_pool
from db.connect.readiness import DatabaseNotReadyError, wait_for_schema
from db.schema.logins import login_or_warn
from ingestor.run.database_pause import retry_database
from ingestor.run.loop import keep_ingesting
from ingestor.run.startup import close_sources, prepare
from ingestor.sources import check_settings
from ingestor.streams.running.loop import followed_venues

_log = structlog.stdlib.get_logger("ingestor")
STATEMENT_TIMEOUT_SECONDS = 300.0


class Arguments(argparse.Namespace):
    """The command line."""

    only: Sequence[str]
    demo: bool


async def _ingest(settings: Settings, dsn: str, only: Sequence[str]) -> None:
    await wait_for_schema(dsn)
    async with await create_pool(
        await login_or_warn(dsn, "ingestor"),
        application_name="kasparro ingestor",
        statement_timeout_seconds=STATEMENT_TIMEOUT_SECONDS,
        min_size=0,  # otherwise asyncpg logs a traceback for each try while the database is away
        max_size=3 * len(settings.sources) + 5,  # polls, registries, streams, and the loops
    ) as pool:
        preparing = functools.partial(prepare, settings, pool, only, exclusive=not only)
        sources = await retry_database("start", pool, preparing)
        await _log.ainfo("ingestor.started", sources=list(only or settings.sources))
        try:
            await keep_ingesting(settings, pool, sources, followed_venues(settings, only))
        finally:
            await close_sources(sources)


async def _until_signal(settings: Settings, dsn: str, only: Sequence[str]) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(_ingest, settings, dsn, only)
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            async for number in signals:
                await _log.ainfo("ingestor.stopping", signal=signal.Signals(number).name)
                group.cancel_scope.cancel()
                return


def _database_url(settings: Settings) -> str:
    if settings.database_url is None:
        raise SettingsError(
            "DATABASE_URL is not set; `kasparro up` starts a database of its own and sets it"
        )
    return settings.database_url


def _read(words: Sequence[str]) -> Arguments:
    parser = argparse.ArgumentParser(
        prog="python -m ingestor", description="Poll the sources until a signal."
    )
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="NAME", help="only these of SOURCES"
    )
    parser.add_argument("--demo", action="store_true", help="the sources' prices are made up")
    return parser.parse_args(words, Arguments())


def main() -> int:
    """Run until a signal; return the exit code."""
    arguments = _read(sys.argv[1:])
    try:
        settings = msgspec.structs.replace(load_settings(), demo=arguments.demo)
        dsn = _database_url(settings)
        check_settings(settings)
    except SettingsError as error:
        sys.stderr.write(f"{sanitize(str(error))}\n")
        return 2
    configure_logging(settings)
    code = 0
    try:
        uvloop.run(_until_signal(settings, dsn, arguments.only))
    except* SettingsError as group:
        sys.stderr.write(f"{sanitize(str(group.exceptions[0]))}\n")
        code = 2
    except* DatabaseNotReadyError as group:
        sys.stderr.write(f"{sanitize(str(group.exceptions[0]))}\n")
        code = 1
    return code


if __name__ == "__main__":
    sys.exit(main())
