"""Runs the processes of one Kasparro until a signal, and leaves none of them behind."""

import http.client
import logging
import os
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
import msgspec

from common.backoff import Backoff
from common.settings import Settings
from db.connect.pool import connect
from db.demo import mark_demo
from db.embedded import EmbeddedPostgres, EmbeddedPostgresError
from db.schema.migrate import migrate
from kasparro.cli.common.database import dsn_for
from kasparro.cli.common.errors import CommandRefusedError
from kasparro.supervise.child import RESTART_BACKOFF, Child
from kasparro.supervise.console import Console, ConsoleLines
from kasparro.supervise.ports import service_url
from kasparro.supervise.stop import Stop

log = logging.getLogger(__name__)

PROBE_SECONDS = 0.1
PROBE_TIMEOUT_SECONDS = 5.0
_POSTGRES_BACKOFF = msgspec.structs.replace(RESTART_BACKOFF, immediate=1)


class ProcessPlan(msgspec.Struct, frozen=True):
    """The commands to run, such as `("server",)`: started in this order, stopped in reverse.

    `environment` extends that of this process; DATABASE_URL overrides both. A demo's database is
    marked as one.
    """

    settings: Settings
    commands: tuple[tuple[str, ...], ...]
    environment: Mapping[str, str] = {}
    greeting: str = "Kasparro answers"


async def supervise(plan: ProcessPlan, console: Console) -> None:
    """Start and migrate the database, and keep every command running until a signal.

    Raises CommandRefusedError with the message of a process that refused its settings, and the
    errors of a database that cannot be used.
    """
    stop = Stop()
    async with AsyncExitStack() as stack:
        stack.enter_context(stop.on_signals())
        with stop.cancels():
            embedded, dsn = None, plan.settings.database_url
            if dsn is None:
                settings = plan.settings
                embedded = await stack.enter_async_context(
                    EmbeddedPostgres(settings.home, programs=settings.embedded_postgres)
                )
                dsn = embedded.dsn
            await migrate(dsn)
            if plan.settings.demo:
                await _mark(dsn)
            log.info("the database is ready")
        if not stop.is_requested():
            await _run(plan, console, stop, embedded, str(dsn))
    if stop.reason is not None:
        raise CommandRefusedError(stop.reason)


async def _mark(dsn: str) -> None:
    connection = await connect(dsn)
    try:
        await mark_demo(connection)
    finally:
        await connection.close()


async def _run(
    plan: ProcessPlan, console: Console, stop: Stop, embedded: EmbeddedPostgres | None, dsn: str
) -> None:
    environment = {**os.environ, **plan.environment}
    children = [
        Child(
            command,
            {**environment, "DATABASE_URL": await dsn_for(dsn, command[0])},
            console,
            stop.request,
        )
        for command in plan.commands
    ]

    def kill_all() -> None:
        for child in children:
            child.kill()

    stop.on_second_signal = kill_all
    async with anyio.create_task_group() as group:
        for child in children:
            group.start_soon(child.keep_running)
        if embedded is not None:
            group.start_soon(_keep_running, embedded)
        if any(child.name == "server" for child in children):
            group.start_soon(_print_url, plan)
        await stop.wait()
        log.info("stopping")
        for child in reversed(children):
            await child.stop()
        group.cancel_scope.cancel()


async def _keep_running(embedded: EmbeddedPostgres) -> None:
    """Start PostgreSQL again whenever it ends; the processes reconnect by themselves.

    The first restart is immediate, since everything waits for it.
    """
    backoff = Backoff(_POSTGRES_BACKOFF)
    while True:
        started = anyio.current_time()
        await embedded.wait()
        wait_seconds = backoff.next_seconds(anyio.current_time() - started)
        log.warning(
            "PostgreSQL ended; starting it again%s",
            f" in {wait_seconds:g} s" if wait_seconds else "",
        )
        await anyio.sleep(wait_seconds)
        try:
            await embedded.start()
        except EmbeddedPostgresError as error:
            log.error("%s", error)  # noqa: TRY400 - the sentence says all


async def _print_url(plan: ProcessPlan) -> None:
    """Print the service's URL as soon as it answers."""
    url = service_url(plan.settings)
    while True:
        if await anyio.to_thread.run_sync(_answers, url, abandon_on_cancel=True):
            break
        await anyio.sleep(PROBE_SECONDS)
    address = f"{url}{plan.settings.root_path}"
    line = f"{plan.greeting} at {address} (GraphiQL /graphql, REST /data, docs /docs)"
    if not ConsoleLines(sys.stdout).write(line):
        log.info("%s", line)


def _answers(url: str) -> bool:
    # http.client, unlike urllib, uses no proxy of the environment.
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=PROBE_TIMEOUT_SECONDS)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
