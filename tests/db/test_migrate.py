"""Migrations: forward only, each once, in order, also when concurrent or interrupted."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from db.connect.pool import Connection, connect
from db.schema import migrate as migrations
from db.schema.dump import SCHEMA_FILE, dump_schema
from db.schema.migrate import migrate, status

Folder = Callable[..., Path]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """`folder(a="CREATE …", b="ALTER …")` writes 0001_a.sql and 0002_b.sql, and removes others."""

    def write(**files: str) -> Path:
        for path in tmp_path.glob("*.sql"):
            path.unlink()
        for number, (name, sql) in enumerate(files.items(), start=1):
            (tmp_path / f"{number:04}_{name}.sql").write_text(sql, encoding="utf-8")
        return tmp_path

    return write


async def fetch(dsn: str, sql: str) -> list[tuple[object, ...]]:
    connection = await connect(dsn)
    try:
        return [tuple(row) for row in await connection.fetch(sql)]
    finally:
        await connection.close()


async def test_what_is_pending_is_applied_in_order_and_only_once(
    empty_database: str, folder: Folder
) -> None:
    one = folder(coins="CREATE TABLE coins (id int); INSERT INTO coins VALUES (1);")
    assert [migration.file_name for migration in await migrate(empty_database, one)] == [
        "0001_coins.sql"
    ]
    assert await migrate(empty_database, one) == []
    two = folder(
        coins="CREATE TABLE coins (id int); INSERT INTO coins VALUES (1);",
        rank="ALTER TABLE coins ADD rank int DEFAULT 7;",
        more="INSERT INTO coins SELECT id + 1, rank + 1 FROM coins;",
    )
    assert [migration.version for migration in await migrate(empty_database, two)] == [2, 3]
    assert await fetch(empty_database, "SELECT id, rank FROM coins ORDER BY id") == [(1, 7), (2, 8)]
    rows = await fetch(
        empty_database,
        "SELECT version, name, length(content_hash) FROM schema_migrations ORDER BY 1",
    )
    assert rows == [(1, "coins", 64), (2, "rank", 64), (3, "more", 64)]


async def test_status_tells_and_writes_nothing(empty_database: str, folder: Folder) -> None:
    files = folder(coins="CREATE TABLE coins ();")
    before = await status(empty_database, files)
    assert (before.applied, [migration.name for migration in before.pending]) == ([], ["coins"])
    assert await fetch(empty_database, "SELECT to_regclass('schema_migrations')") == [(None,)]
    await migrate(empty_database, files)
    after = await status(empty_database, files)
    assert [row.name for row in after.applied] == ["coins"]
    assert after.pending == []


async def test_many_migrators_at_once_apply_each_migration_once(
    empty_database: str, folder: Folder
) -> None:
    files = folder(
        coins="CREATE TABLE coins (id int); SELECT pg_sleep(0.1);",
        first="INSERT INTO coins VALUES (1); SELECT pg_sleep(0.1);",
        second="INSERT INTO coins VALUES (2);",
    )
    results = await asyncio.gather(*(migrate(empty_database, files) for _ in range(6)))
    assert sorted(len(applied) for applied in results) == [0, 0, 0, 0, 0, 3]
    assert await fetch(empty_database, "SELECT id FROM coins ORDER BY id") == [(1,), (2,)]


async def test_a_failed_migration_leaves_nothing_of_itself_and_is_resumed(
    empty_database: str, folder: Folder
) -> None:
    broken = folder(
        coins="CREATE TABLE coins ();",
        bad="CREATE TABLE half ();\n\nSELECT nonsense;",
        late="SELECT 1;",
    )
    with pytest.raises(migrations.MigrationFailedError) as caught:
        await migrate(empty_database, broken)
    assert (
        str(caught.value)
        == 'migration 0002_bad.sql failed at line 3: column "nonsense" does not exist'
    )
    assert await fetch(
        empty_database, "SELECT to_regclass('coins')::text, to_regclass('half')::text"
    ) == [("coins", None)]
    mended = folder(coins="CREATE TABLE coins ();", bad="CREATE TABLE half ();", late="SELECT 1;")
    assert [migration.version for migration in await migrate(empty_database, mended)] == [2, 3]


async def test_a_migrator_that_is_killed_leaves_no_lock(
    empty_database: str, folder: Folder
) -> None:
    slow = folder(coins="CREATE TABLE coins ();", slow="SELECT pg_sleep(600);")
    connection = await connect(empty_database)
    migrating = asyncio.create_task(migrate(connection, slow))
    sleeping = (
        "SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"
    )
    async with asyncio.timeout(10):
        while not await fetch(empty_database, sleeping):
            pass
    pid = connection.get_server_pid()
    connection.terminate()
    with pytest.raises(
        migrations.MigrationFailedError, match=r"0002_slow\.sql failed: connection was closed"
    ):
        await migrating
    await fetch(empty_database, f"SELECT pg_terminate_backend({pid}, 10000)")
    quick = folder(coins="CREATE TABLE coins ();", slow="SELECT 1;")
    assert [migration.version for migration in await migrate(empty_database, quick)] == [2]


async def test_a_changed_file_is_named_and_nothing_is_applied(
    empty_database: str, folder: Folder
) -> None:
    await migrate(empty_database, folder(coins="CREATE TABLE coins ();"))
    changed = folder(coins="CREATE TABLE coins (id int);", more="CREATE TABLE more ();")
    with pytest.raises(
        migrations.MigrationChangedError, match=r"^migration 0001_coins\.sql was changed after"
    ):
        await migrate(empty_database, changed)
    with pytest.raises(migrations.MigrationChangedError):
        await status(empty_database, changed)
    assert await fetch(empty_database, "SELECT to_regclass('more')") == [(None,)]


async def test_line_ends_of_another_system_are_no_change(
    empty_database: str, folder: Folder
) -> None:
    files = folder(coins="CREATE TABLE coins (\n);\n")
    await migrate(empty_database, files)
    (files / "0001_coins.sql").write_bytes(b"CREATE TABLE coins (\r\n);\r\n")
    assert await migrate(empty_database, files) == []


async def test_a_database_newer_than_the_code_is_left_alone(
    empty_database: str, folder: Folder
) -> None:
    await migrate(
        empty_database,
        folder(coins="CREATE TABLE coins ();", rank="ALTER TABLE coins ADD rank int;"),
    )
    with pytest.raises(
        migrations.DatabaseNewerError,
        match="0002_rank, which this version of Kasparro does not know",
    ):
        await migrate(empty_database, folder(coins="CREATE TABLE coins ();"))


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["0002_b.sql"], "0002_b.sql stands where migration 0001 was expected"),
        (["0001_a.sql", "0001_b.sql"], "0001_b.sql has the number of 0001_a.sql"),
        (["0001_a.sql", "2_b.sql"], "2_b.sql is not a valid name of a migration"),
        (["0001_A.sql"], "0001_A.sql is not a valid name of a migration"),
    ],
)
async def test_a_wrong_start_and_twins_are_refused_before_anything_happens(
    empty_database: str, tmp_path: Path, names: list[str], message: str
) -> None:
    for name in names:
        (tmp_path / name).write_text("CREATE TABLE coins ();")
    with pytest.raises(migrations.MigrationNumberingError) as caught:
        await migrate(empty_database, tmp_path)
    assert message in str(caught.value)
    assert await fetch(
        empty_database, "SELECT to_regclass('coins'), to_regclass('schema_migrations')"
    ) == [(None, None)]


async def test_a_migrator_that_waits_too_long_says_for_what(
    empty_database: str, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "LOCK_TIMEOUT_SECONDS", 0.2)
    holder = await connect(empty_database)
    await holder.execute("SELECT pg_advisory_lock($1)", migrations.LOCK_KEY)
    with pytest.raises(migrations.MigrationBusyError, match="another process has been migrating"):
        await migrate(empty_database, folder(coins="CREATE TABLE coins ();"))
    await holder.close()


async def test_a_migration_gives_up_on_a_table_that_is_held(
    empty_database: str, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    await migrate(empty_database, folder(coins="CREATE TABLE coins ();"))
    monkeypatch.setattr(migrations, "LOCK_TIMEOUT_SECONDS", 0.2)
    holder = await connect(empty_database)
    files = folder(coins="CREATE TABLE coins ();", rank="ALTER TABLE coins ADD rank int;")
    async with holder.transaction():
        await holder.execute("LOCK TABLE coins IN ACCESS SHARE MODE")
        with pytest.raises(
            migrations.MigrationFailedError, match=r"0002_rank\.sql failed: .*lock timeout"
        ):
            await migrate(empty_database, files)
    await holder.close()
    assert [migration.version for migration in await migrate(empty_database, files)] == [2]


async def test_the_callers_connection_is_as_it_was(empty_database: str, folder: Folder) -> None:
    connection: Connection = await connect(empty_database)
    timeouts = "SELECT name, setting FROM pg_settings WHERE name LIKE '%_timeout' ORDER BY name"
    before = await connection.fetch(timeouts)
    await migrate(connection, folder(coins="CREATE TABLE coins ();"))
    assert await connection.fetch(timeouts) == before
    assert (
        await connection.fetchval("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == 0
    )
    await connection.close()


async def test_the_real_migrations_are_applied_to_the_template(database: str) -> None:
    now = await status(database)
    assert now.pending == []
    assert [row.version for row in now.applied] == [
        found.version for found in migrations.load_migrations()
    ]


@pytest.mark.skipif(
    "TEST_DATABASE_URL" in os.environ,
    reason="schema.sql is written by the embedded server's version",
)
async def test_schema_sql_is_what_the_migrations_come_to(empty_database: str) -> None:
    await migrate(empty_database)  # a copy of the template has its logins' rights too
    assert await dump_schema(empty_database) == SCHEMA_FILE.read_text(encoding="utf-8"), (
        "run: python -m db.schema.dump"
    )
