"""`kasparro migrate`: the schema of this version, or how far the database is from it."""

import click

from db.migrate import Migration, MigrationStatus, migrate, status
from db.settings import Settings
from kasparro.database import open_database
from kasparro.one_shot import run_to_end
from kasparro.which import demo_option, settings_for


@click.command("migrate")
@click.option("--status", "only_status", is_flag=True, help="Only show what is applied and what is pending.")
@demo_option
def command(*, only_status: bool, demo: bool | None) -> None:
    """Bring the database to the schema of this version.

    `up`, `serve` and `ingest` do it by themselves. Many may run at once; each migration is applied once. Only --status
    takes the demo by itself.
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


async def _migrate(settings: Settings) -> list[Migration]:
    async with open_database(settings) as dsn:
        return await migrate(dsn)


async def _status(settings: Settings) -> MigrationStatus:
    async with open_database(settings) as dsn:
        return await status(dsn)


def _print_status(found: MigrationStatus) -> None:
    for row in found.applied:
        click.echo(f"applied {row.version:04}_{row.name}.sql  {row.applied_at:%Y-%m-%d %H:%M:%S} UTC")
    for migration in found.pending:
        click.echo(f"pending {migration.file_name}")
