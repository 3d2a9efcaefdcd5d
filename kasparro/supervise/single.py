"""One process alone: becomes it where a database is there already, supervises both where not."""

import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from typing import NoReturn

from common.settings import Settings
from db.schema.migrate import migrate
from kasparro.cli.common.database import dsn_for, find_running
from kasparro.supervise.console import open_console
from kasparro.supervise.supervisor import ProcessPlan, supervise


def run_alone(settings: Settings, command: Sequence[str]) -> None:
    """Run `python -m COMMAND` until a signal, on the database that `settings` mean, brought to today's schema."""
    dsn = settings.database_url or asyncio.run(find_running(settings))
    if dsn is None:
        plan = ProcessPlan(settings=settings, commands=(tuple(command),))
        asyncio.run(supervise(plan, open_console(settings)))
    else:
        own = asyncio.run(_prepare(dsn, command[0]))
        _become(command, {**os.environ, "DATABASE_URL": own})


async def _prepare(dsn: str, module: str) -> str:
    await migrate(dsn)
    return await dsn_for(dsn, module)


def _become(command: Sequence[str], environment: Mapping[str, str]) -> NoReturn:
    """Replace this process, so that signals and exit codes are the module's own."""
    sys.stdout.flush()
    # Our own module.
    os.execve(sys.executable, [sys.executable, "-P", "-m", *command], environment)  # noqa: S606
