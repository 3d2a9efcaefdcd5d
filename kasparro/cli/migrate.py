"""`kasparro migrate`: the schema of this version, or what is missing."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from common.settings import Settings
from db.connect.pool import create_pool
from db.schema.logins import PARTS, LoginError, write_password_file
from db.schema.migrate import Migration, MigrationStatus, migrate, status
from ingestor.run.upgrade import OnStep, Step, upgrade
from kasparro.cli.common.database import open_database
from kasparro.cli.common.errors import CommandError
from kasparro.cli.common.one_shot import run_to_end
from kasparro.cli.common.which import demo_option, settings_for


@click.command("migrate")
@click.option(
    "--status", "only_status", is_flag=True, help="Only show applied and pending migrations."
)
@click.option(
    "--schema-only", is_flag=True, help="Leave the data of an earlier version to the ingestor."
)
@click.option(
    "--logins",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Also create the logins of server and ingestor, with their passwords in this folder.",
)
@demo_option
def command(
    *, only_status: bool, schema_only: bool, folder: Path | None, demo: bool | None
) -> None:
    """Migrate the database to the schema of this version.

    `up`, `serve` and `ingest` do it by themselves. Many may run at once; each migration is applied
    once. The data of an earlier version are moved beside a running service, a little at a time;
    after an interruption the same command resumes. Only --status uses the demo by default.

    --logins is for processes that run apart, as in docker-compose.yml: FOLDER/server/pgpass and
    FOLDER/ingestor/pgpass are files for `passfile=` in a DATABASE_URL. The users are printed.
    """
    settings = settings_for(demo if demo is not None or only_status else False)
    if only_status:
        _print_status(run_to_end(lambda: _status(settings)))
        return
    applied = run_to_end(lambda: _migrate(settings))
    for migration in applied:
        click.echo(f"applied {migration.file_name}")
    if not applied:
        click.echo("up to date")
    if not schema_only:
        with _bars() as on_step:
            left = run_to_end(lambda: _upgrade(settings, on_step))
        if left:
            click.echo(
                f"{left:,} points of history stay in the table former_price_points: their source "
                "has no listing of the ticker",
                err=True,
            )
    if folder is not None:
        for line in run_to_end(lambda: _write_logins(settings, folder)):
            click.echo(line)


async def _migrate(settings: Settings) -> list[Migration]:
    async with open_database(settings) as dsn:
        return await migrate(dsn)


async def _upgrade(settings: Settings, on_step: OnStep) -> int:
    async with (
        open_database(settings) as dsn,
        await create_pool(dsn, application_name="kasparro migrate", max_size=2) as pool,
    ):
        return await upgrade(pool, on_step)


@contextlib.contextmanager
def _bars() -> Iterator[OnStep]:
    """Show a bar for each step of an upgrade on standard error; lines in its place in a file."""
    texts: dict[Step, str] = {
        "merged": "coins merged",
        "history_moved": "histories moved",
        "payloads_moved": "payloads moved",
    }
    tasks: dict[Step, TaskID] = {}
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
    ) as progress:

        async def show(step: Step, done: int, total: int) -> None:
            if step not in tasks:
                tasks[step] = progress.add_task(texts[step])
            progress.update(tasks[step], completed=done, total=total)
            if not sys.stderr.isatty():
                click.echo(f"{texts[step]}: {done:,} of {total:,}", err=True)

        yield show


async def _write_logins(settings: Settings, folder: Path) -> list[str]:
    """Write a password file for each process, and return lines to print. Raises CommandError."""
    lines = []
    async with open_database(settings) as dsn:
        for part in PARTS:
            path = folder / part / "pgpass"
            try:
                role = await write_password_file(dsn, part, path)
            except LoginError as error:
                raise CommandError(f"the login of the {part} cannot be created: {error}") from None
            except OSError as error:
                raise CommandError(f"{path} cannot be written: {error.strerror}") from None
            lines.append(f"{part}: user {role}, passfile {path}")
    return lines


async def _status(settings: Settings) -> MigrationStatus:
    async with open_database(settings) as dsn:
        return await status(dsn)


def _print_status(found: MigrationStatus) -> None:
    for row in found.applied:
        click.echo(
            f"applied {row.version:04}_{row.name}.sql  {row.applied_at:%Y-%m-%d %H:%M:%S} UTC"
        )
    for migration in found.pending:
        click.echo(f"pending {migration.file_name}")
