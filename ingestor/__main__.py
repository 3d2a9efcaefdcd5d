"""The ingestor process: `python -m ingestor`.

It ends with 0 on a signal, with 2 on a setting that it cannot use, with 1 where there is no database of this schema.
"""

import argparse
import functools
import signal
import sys
from collections.abc import Sequence

import anyio
import structlog
import uvloop

from db.logs import configure_logging
from db.pool import create_pool
from db.readiness import DatabaseNotReadyError, wait_for_schema
from db.settings import Settings, SettingsError, load_settings
from ingestor.loop import keep_ingesting
from ingestor.persist import persist
from ingestor.startup import close_sources, prepare

_log = structlog.stdlib.get_logger("ingestor")
STATEMENT_TIMEOUT_SECONDS = 300.0


async def _ingest(settings: Settings, dsn: str, only: Sequence[str]) -> None:
    await wait_for_schema(dsn)
    async with await create_pool(
        dsn,
        application_name="kasparro ingestor",
        statement_timeout_seconds=STATEMENT_TIMEOUT_SECONDS,
        min_size=0,  # otherwise asyncpg logs a traceback for each try while the database is away
        max_size=2 * len(settings.sources) + 4,
    ) as pool:
        preparing = functools.partial(prepare, settings, pool, only, exclusive=not only)
        sources = await persist("start", pool, preparing)
        await _log.ainfo("ingestor.started", sources=[source.name for source in sources])
        try:
            await keep_ingesting(settings, pool, sources)
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
        raise SettingsError("DATABASE_URL is not set; `kasparro up` starts a database of its own and sets it")
    return settings.database_url


def _only(arguments: Sequence[str]) -> list[str]:
    parser = argparse.ArgumentParser(prog="python -m ingestor", description="Poll the sources until a signal.")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="only these of SOURCES")
    names: list[str] = parser.parse_args(arguments).only
    return names


def main() -> int:
    """Run until a signal; return the exit code."""
    only = _only(sys.argv[1:])
    try:
        settings = load_settings()
        dsn = _database_url(settings)
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    configure_logging(settings)
    code = 0
    try:
        uvloop.run(_until_signal(settings, dsn, only))
    except* SettingsError as group:
        sys.stderr.write(f"{group.exceptions[0]}\n")
        code = 2
    except* DatabaseNotReadyError as group:
        sys.stderr.write(f"{group.exceptions[0]}\n")
        code = 1
    return code


if __name__ == "__main__":
    sys.exit(main())
