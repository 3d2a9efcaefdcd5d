"""Roles are a wall: what each part's login may do, and that nothing leads back to the owner."""

import datetime
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from db.connect.pool import Connection, connect
from db.requests import add_request
from db.schema.logins import (
    PARTS,
    LoginError,
    Part,
    find_login,
    login_dsn,
    role_name,
    write_password_file,
)
from db.schema.migrate import MigrationFailedError, migrate
from db.schema.partitions import DEFAULT_RETENTION, drop_old_partitions, ensure_partitions
from db.schema.scram import scram_sha_256
from tests.owners import an_owner

REFUSED = (asyncpg.InsufficientPrivilegeError, asyncpg.InvalidParameterValueError)
NOW = datetime.datetime.now(datetime.UTC)

SCHEMA_CHANGES = [
    "CREATE TABLE mine ()",
    "CREATE SCHEMA mine",
    "CREATE FUNCTION mine() RETURNS integer LANGUAGE sql RETURN 1",
    "ALTER TABLE listings ADD COLUMN mine text",
    "ALTER TABLE events DISABLE TRIGGER ALL",
    "DROP TABLE events",
    "DROP TABLE price_points_default",
    "TRUNCATE listings",
    "CREATE INDEX ON listings (name)",
    "ALTER TABLE price_points DETACH PARTITION price_points_default",
    "CREATE ROLE mine",
    "ALTER DATABASE {database} SET work_mem = '1GB'",
    "SELECT password FROM logins",
    "UPDATE logins SET password = 'mine'",
    "INSERT INTO schema_migrations VALUES (9999, 'mine', repeat('0', 64), now())",
    "COPY listings TO PROGRAM 'cat'",
    "SELECT pg_read_file('/etc/passwd')",
]
WRITES = [
    "INSERT INTO identities VALUES ('csv', 'x', 'y')",
    "UPDATE sources SET enabled = false",
    "DELETE FROM events",
    "DELETE FROM etl_requests",
    "UPDATE etl_requests SET status = 'done', finished_at = now()",
    "INSERT INTO etl_requests (sources, status) VALUES ('{{csv}}', 'running')",
    "SELECT create_partition('candles', 'candles_20010101', '2001-01-01', '2001-01-08')",
]


@asynccontextmanager
async def logged_in(database: str, part: Part) -> AsyncIterator[Connection]:
    opened = await connect(await login_dsn(database, part))
    try:
        yield opened
    finally:
        await opened.close()


async def refuse(connection: Connection, statement: str) -> None:
    name = await connection.fetchval("SELECT current_database()")
    with pytest.raises(REFUSED):
        await connection.execute(statement.format(database=name))


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("statement", SCHEMA_CHANGES)
async def test_neither_part_can_change_the_schema_or_see_a_password(
    database: str, part: Part, statement: str
) -> None:
    async with logged_in(database, part) as connection:
        await refuse(connection, statement)


@pytest.mark.parametrize("part", PARTS)
async def test_nothing_leads_back_to_the_owner(
    database: str, connection: Connection, part: Part
) -> None:
    owner = await connection.fetchval("SELECT current_user")
    async with logged_in(database, part) as own:
        user = await own.fetchval("SELECT session_user")
        assert user != owner
        for statement in (
            "RESET ROLE",
            "RESET SESSION AUTHORIZATION",
            "SET ROLE NONE",
            "RESET ALL",
        ):
            await own.execute(statement)
            assert await own.fetchval("SELECT current_user") == user
        for statement in (
            f"SET ROLE {owner}",
            f"SET SESSION AUTHORIZATION {owner}",
            f"GRANT {owner} TO {user}",
        ):
            await refuse(own, statement)
        for other in PARTS:
            if other != part:
                stored = await connection.fetchval("SELECT role FROM logins WHERE part = $1", other)
                await refuse(own, f'SET ROLE "{stored}"')


@pytest.mark.parametrize("statement", WRITES)
async def test_the_server_reads_everything_asks_for_runs_and_can_do_nothing_else(
    database: str, connection: Connection, statement: str
) -> None:
    tables = await connection.fetch(
        "SELECT oid::regclass::text AS name FROM pg_class "
        "WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND relname <> "
        "'logins'"
    )
    async with logged_in(database, "server") as own:
        for table in tables:
            await own.fetch(f"SELECT * FROM {table['name']} LIMIT 1")
        assert await add_request(own, ["csv"], full=False) == 1
        await refuse(own, statement)


async def test_the_ingestor_makes_and_drops_partitions_and_can_touch_no_other_table(
    database: str, connection: Connection
) -> None:
    async with logged_in(database, "ingestor") as own:
        made = await ensure_partitions(own, NOW, DEFAULT_RETENTION)
        assert made
        day = NOW.date()
        raw = f"bodies_{day:%Y%m%d}"
        await own.execute(
            "INSERT INTO bodies (id, arrived_at, fetched_at, run_id, size, page_number, "
            "record_count, source, page_group, form, headers, sha256, records, content, frames) "
            "VALUES (nextval('body_ids'), now(), now(), 1, 0, 0, 0, 'csv', '', 'records', '{}', "
            "sha256(''), '', '', '{}')"
        )
        assert await own.fetchval(f"SELECT count(*) FROM {raw}") == 1
        for statement in (
            "SELECT create_partition('listings', 'listings_20260101', '2026-01-01', '2026-01-02')",
            "SELECT create_partition('candles', 'listings_20260101', '2026-01-01', '2026-01-02')",
            "SELECT drop_empty_partition('candles', 'candles_default')",
            "SELECT drop_empty_partition('bodies', 'listings')",
            "SELECT detach_partition('candles', 'candles_default')",
            "SELECT detach_partition('bodies', 'listings')",
            f"SELECT detach_partition('candles', '{raw}')",
            "SELECT drop_detached_partition('candles', 'listings')",
            "SELECT drop_detached_partition('candles', 'candles_default')",
            f"SELECT drop_detached_partition('bodies', '{raw}')",
        ):
            await refuse(own, statement)
        later = NOW + datetime.timedelta(days=400)
        assert set(await drop_old_partitions(own, later, DEFAULT_RETENTION)) == set(made)
    assert await connection.fetchval(f"SELECT to_regclass('{raw}') IS NULL")


async def test_a_function_of_the_owner_is_not_fooled_by_tables_of_the_caller(database: str) -> None:
    """A temporary table of the same name hides a public one from a session, not the function."""
    async with logged_in(database, "ingestor") as own:
        await own.execute(
            "CREATE TEMPORARY TABLE candles (start timestamptz) PARTITION BY RANGE (start)"
        )
        await own.execute(
            "SELECT create_partition('candles', 'candles_20010101', '2001-01-01', '2001-01-08')"
        )
        parent = (
            "SELECT inhparent::regclass::text FROM pg_inherits WHERE inhrelid = "
            "'candles_20010101'::regclass"
        )
        assert await own.fetchval(parent) == "public.candles"


async def test_a_table_that_comes_later_is_readable_too(
    database: str, connection: Connection
) -> None:
    await login_dsn(database, "server")
    await connection.execute("CREATE TABLE later (id integer)")
    async with logged_in(database, "server") as own:
        assert await own.fetch("SELECT * FROM later") == []
        await refuse(own, "INSERT INTO later VALUES (1)")
    async with logged_in(database, "ingestor") as own:
        await own.execute("INSERT INTO later VALUES (1)")


async def test_a_login_is_made_once_and_mended_where_somebody_changed_it(
    database: str, connection: Connection
) -> None:
    first = await login_dsn(database, "server")
    assert await login_dsn(database, "server") == first
    assert await login_dsn(first, "server") == first  # it is one already
    role = await connection.fetchval("SELECT role FROM logins WHERE part = 'server'")
    await connection.execute(f'REVOKE SELECT ON events FROM "{role}"')
    assert await login_dsn(database, "server") == first
    async with logged_in(database, "server") as own:
        await own.fetch("SELECT * FROM events")
    await connection.execute(f'GRANT DELETE ON events TO "{role}"')
    with pytest.raises(LoginError, match="cannot be used"):
        await login_dsn(database, "server")


async def test_a_database_of_its_own_has_logins_of_its_own(empty_database: str) -> None:
    with pytest.raises(LoginError, match="not at the schema"):
        await login_dsn(empty_database, "server")
    await migrate(empty_database)
    async with logged_in(empty_database, "server") as own:
        name = await own.fetchval("SELECT current_database()")
        assert await own.fetchval("SELECT current_user") == role_name("server", name)


async def test_an_owner_that_may_make_roles_makes_them_without_being_a_superuser(
    server_dsn: str, empty_database: str
) -> None:
    async with an_owner(server_dsn, empty_database, "CREATEROLE") as dsn:
        await migrate(dsn)
        for part in PARTS:
            async with logged_in(dsn, part) as own:
                assert await own.fetchval("SELECT current_user") != await own.fetchval(
                    "SELECT relowner::regrole::text FROM pg_class WHERE relname = 'listings'"
                )
        async with logged_in(dsn, "ingestor") as own:
            made = await ensure_partitions(own, NOW, DEFAULT_RETENTION)
            assert made
            await own.execute(f"DELETE FROM {made[0]}")
        # The parts bring the schema up to date by nothing, and say who can.
        await migrate(await login_dsn(dsn, "ingestor"))
        own_dsn = await login_dsn(dsn, "server")
        owner = await connect(dsn)
        try:
            await owner.execute(
                "DELETE FROM schema_migrations WHERE version = (SELECT max(version) FROM "
                "schema_migrations)"
            )
        finally:
            await owner.close()
        with pytest.raises(
            MigrationFailedError, match="run `kasparro migrate` with the database's owner"
        ):
            await migrate(own_dsn)


async def test_an_owner_that_may_make_no_roles_is_told_so(
    server_dsn: str, empty_database: str
) -> None:
    async with an_owner(server_dsn, empty_database, "NOCREATEROLE") as dsn:
        await migrate(dsn)
        with pytest.raises(LoginError, match="permission denied to create role"):
            await login_dsn(dsn, "server")
        owner = await connect(dsn)
        try:
            with pytest.raises(LoginError, match="may not make other roles"):
                await find_login(owner, "server")
        finally:
            await owner.close()


async def test_a_password_file_is_its_users_alone_and_lets_in(
    database: str, tmp_path: Path
) -> None:
    path = tmp_path / "server" / "pgpass"
    role = await write_password_file(database, "server", path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_text(encoding="utf-8").startswith(f"*:*:*:{role}:")
    assert list(path.parent.iterdir()) == [path]
    await write_password_file(database, "server", path)
    given = database.replace("//postgres@", f"//{role}@", 1)
    own = await connect(f"{given}{'&' if '?' in given else '?'}passfile={path}")
    try:
        assert await own.fetchval("SELECT current_user") == role
    finally:
        await own.close()


def test_a_password_is_sent_as_postgresql_stores_it() -> None:
    """The verifier of RFC 7677's example: user `user`, password `pencil`."""
    salt = b"[m\x99h\x9d\x125\x8e\xec\xa0K\x14\x126\xfa\x81"
    verifier = scram_sha_256("pencil", salt)
    assert verifier == (
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
        "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
    )


def test_a_long_name_of_a_database_makes_a_name_that_fits() -> None:
    assert role_name("server", "kasparro") == "kasparro_server_kasparro"
    long, other = (role_name("ingestor", "x" * 62 + last) for last in "ab")
    assert len(long) <= 63
    assert long != other
