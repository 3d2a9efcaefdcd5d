"""Run one process: replaced by it if the database runs already, else its supervisor."""

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


def run_single(settings: Settings, command: Sequence[str]) -> None:
    """Run `python -m COMMAND` until a signal, on the migrated database of `settings`."""
    dsn = settings.database_url or asyncio.run(find_running(settings))
    if dsn is None:
        plan = ProcessPlan(settings=settings, commands=(tuple(command),))
        asyncio.run(supervise(plan, open_console(settings)))
    else:
        own = asyncio.run(_prepare(dsn, command[0]))
        _exec(command, {**os.environ, "DATABASE_URL": own})


async def _prepare(dsn: str, module: str) -> str:
    await migrate(dsn)
    return await dsn_for(dsn, module)


def _exec(command: Sequence[str], environment: Mapping[str, str]) -> NoReturn:
    """Replace this process, so that signals and exit codes are those of the module."""
    sys.stdout.flush()
    # A module of this program.
    os.execve(sys.executable, [sys.executable, "-P", "-m", *command], environment)  # noqa: S606
