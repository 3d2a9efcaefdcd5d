"""`kasparro migrate`: the schema of this version, or what is missing."""

from pathlib import Path

import click

from common.settings import Settings
from db.schema.logins import PARTS, LoginError, write_password_file
from db.schema.migrate import Migration, MigrationStatus, migrate, status
from kasparro.cli.common.database import open_database
from kasparro.cli.common.errors import CommandError
from kasparro.cli.common.one_shot import run_to_end
from kasparro.cli.common.which import demo_option, settings_for


@click.command("migrate")
@click.option(
    "--status", "only_status", is_flag=True, help="Only show applied and pending migrations."
)
@click.option(
    "--logins",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Also create the logins of server and ingestor, with their passwords in this folder.",
)
@demo_option
def command(*, only_status: bool, folder: Path | None, demo: bool | None) -> None:
    """Migrate the database to the schema of this version.

    `up`, `serve` and `ingest` do it by themselves. Many may run at once; each migration is applied
    once. Only --status uses the demo by default.

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
    if folder is not None:
        for line in run_to_end(lambda: _write_logins(settings, folder)):
            click.echo(line)


async def _migrate(settings: Settings) -> list[Migration]:
    async with open_database(settings) as dsn:
        return await migrate(dsn)


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
