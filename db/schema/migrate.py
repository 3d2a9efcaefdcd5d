"""Forward-only migrations: each `db/schema/migrations/NNNN_name.sql` in its own transaction."""

import datetime as dt
import hashlib
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import msgspec

from db.connect.locks import end_when_idle
from db.connect.pool import Connection, connect

MIGRATIONS = Path(__file__).parent / "migrations"
OLDEST_SERVER = 15
# An arbitrary number, the same for every migrator of a database.
LOCK_KEY = 0x4B41_5350_4D49_4752
LOCK_TIMEOUT_SECONDS = 60.0
READ_LOCK_TIMEOUT_SECONDS = 5.0
STATEMENT_TIMEOUT_SECONDS = 1800.0
IDLE_SECONDS = 10.0
_FILE_NAME = re.compile(r"(?P<version>\d{4})_(?P<name>[a-z0-9_]+)\.sql")


class MigrationError(Exception):
    """The database cannot be brought to the schema of this code; the message is one line."""


class MigrationNumberingError(MigrationError):
    """The numbers of the migrations do not start at 0001, or are not unique."""


class MigrationChangedError(MigrationError):
    """The file of an applied migration was changed."""


class DatabaseNewerError(MigrationError):
    """The database holds a migration that this code does not know."""


class DatabaseTooOldError(MigrationError):
    """The PostgreSQL server is older than 15."""


class MigrationBusyError(MigrationError):
    """Another migrator held the lock for too long."""


class MigrationFailedError(MigrationError):
    """PostgreSQL refused a migration's SQL; the file was rolled back."""


class Migration(msgspec.Struct, frozen=True):
    """One file: its number, name and SQL, and the SHA-256 of the SQL in hex."""

    version: int
    name: str
    sql: str
    content_hash: str

    @property
    def file_name(self) -> str:
        """The name of its file."""
        return f"{self.version:04}_{self.name}.sql"


class AppliedMigration(msgspec.Struct, frozen=True):
    """One row of `schema_migrations`."""

    version: int
    name: str
    content_hash: str
    applied_at: dt.datetime


class MigrationStatus(msgspec.Struct, frozen=True):
    """The applied and the pending migrations of a database."""

    applied: list[AppliedMigration]
    pending: list[Migration]


def load_migrations(folder: Path = MIGRATIONS) -> list[Migration]:
    """Read the migrations of a folder in order. Raises MigrationNumberingError."""
    migrations = [_load(path) for path in sorted(folder.glob("*.sql"))]
    # Gaps are allowed: concurrent branches use separate ranges.
    for migration, before in zip(migrations, [None, *migrations], strict=False):
        if before is None and migration.version != 1:
            raise MigrationNumberingError(
                f"{migration.file_name} stands where migration 0001 was expected"
            )
        if before is not None and migration.version == before.version:
            raise MigrationNumberingError(
                f"{migration.file_name} has the number of {before.file_name}: take another"
            )
    return migrations


async def migrate(database: str | Connection, folder: Path = MIGRATIONS) -> list[Migration]:
    """Apply the pending migrations in order and return them; migrators may run concurrently.

    `database` is a DSN, or an open connection outside a transaction. Raises MigrationError, and
    DatabaseUnavailableError for a DSN.
    """
    migrations = load_migrations(folder)
    async with _session(database) as connection:
        if not (await _status(connection, migrations)).pending:
            # This takes no special rights: the server's and the ingestor's logins may do it.
            return []
        return await _migrate(connection, migrations)


async def _migrate(connection: Connection, migrations: Sequence[Migration]) -> list[Migration]:
    async with _locked(connection):
        if not await connection.fetchval(
            TABLE_EXISTS
        ):  # a database that takes no writes may be complete
            try:
                await connection.execute(CREATE_TABLE)
            except asyncpg.InsufficientPrivilegeError as error:
                raise _insufficient_rights(error) from None
        pending = _pending(await _applied(connection), migrations)
        for migration in pending:
            await _apply(connection, migration)
    return pending


async def status(database: str | Connection, folder: Path = MIGRATIONS) -> MigrationStatus:
    """Return the applied and pending migrations without writing. Raises the errors of `migrate`."""
    migrations = load_migrations(folder)
    async with _session(database, READ_LOCK_TIMEOUT_SECONDS) as connection:
        return await _status(connection, migrations)


async def _status(connection: Connection, migrations: Sequence[Migration]) -> MigrationStatus:
    applied = await _applied(connection) if await connection.fetchval(TABLE_EXISTS) else []
    return MigrationStatus(applied=applied, pending=_pending(applied, migrations))


CREATE_TABLE = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    version      integer PRIMARY KEY CHECK (version > 0),
    name         text NOT NULL,
    content_hash text NOT NULL CHECK (content_hash ~ '^[0-9a-f]{64}$'),
    applied_at   timestamptz NOT NULL
)
"""

TABLE_EXISTS = "SELECT to_regclass('schema_migrations') IS NOT NULL"

SELECT_APPLIED = (
    "SELECT version, name, content_hash, applied_at FROM schema_migrations ORDER BY version"
)


def _insufficient_rights(error: asyncpg.PostgresError) -> MigrationFailedError:
    return MigrationFailedError(
        f"the schema is behind, and the login of DATABASE_URL may not change it ({error}): "
        "run `kasparro migrate` with the database's owner in DATABASE_URL"
    )


async def _applied(connection: Connection) -> list[AppliedMigration]:
    return [AppliedMigration(**row) for row in await connection.fetch(SELECT_APPLIED)]


INSERT_APPLIED = """
INSERT INTO schema_migrations (version, name, content_hash, applied_at)
VALUES ($1, $2, $3, clock_timestamp())
"""

SET_TIMEOUTS = """
SELECT set_config('lock_timeout', $1, true), set_config('statement_timeout', $2, true)
"""


async def _apply(connection: Connection, migration: Migration) -> None:
    try:
        async with connection.transaction():
            await connection.execute(
                SET_TIMEOUTS, _milliseconds(LOCK_TIMEOUT_SECONDS), _STATEMENT_TIMEOUT
            )
            await connection.execute(migration.sql, timeout=STATEMENT_TIMEOUT_SECONDS)
            await connection.execute(
                INSERT_APPLIED, migration.version, migration.name, migration.content_hash
            )
    except asyncpg.InsufficientPrivilegeError as error:
        raise _insufficient_rights(error) from None
    except asyncpg.PostgresError as error:
        line = _line_of(error, migration.sql)
        raise MigrationFailedError(
            f"migration {migration.file_name} failed{line}: {error}"
        ) from error
    except asyncpg.InterfaceError as error:
        # The rollback failed as well; the cause is the error before.
        raise MigrationFailedError(
            f"migration {migration.file_name} failed: {error.__context__ or error}"
        ) from error


def _load(path: Path) -> Migration:
    match = _FILE_NAME.fullmatch(path.name)
    if match is None:
        raise MigrationNumberingError(
            f"{path.name} is not a valid name of a migration: use NNNN_lower_case_words.sql"
        )
    # Text mode turns CRLF into LF, so that a checkout on Windows has the same hash.
    sql = path.read_text(encoding="utf-8")
    content_hash = hashlib.sha256(sql.encode()).hexdigest()
    return Migration(
        version=int(match["version"]), name=match["name"], sql=sql, content_hash=content_hash
    )


def _pending(
    applied: Sequence[AppliedMigration], migrations: Sequence[Migration]
) -> list[Migration]:
    """Return the migrations that are not applied, after checking the applied ones."""
    by_version = {migration.version: migration for migration in migrations}
    for row in applied:
        migration = by_version.pop(row.version, None)
        if migration is None:
            raise DatabaseNewerError(
                f"the database holds migration {row.version:04}_{row.name}, which this version of "
                "Kasparro does not know: install the newer version that applied it"
            )
        if migration.content_hash != row.content_hash:
            raise MigrationChangedError(
                f"migration {migration.file_name} was changed after it had been applied on "
                f"{row.applied_at:%Y-%m-%d}: restore the file and put the change into a new "
                "migration"
            )
    return list(by_version.values())


@asynccontextmanager
async def _session(
    database: str | Connection, lock_timeout_seconds: float = LOCK_TIMEOUT_SECONDS
) -> AsyncIterator[Connection]:
    if not isinstance(database, str):
        yield database
        return
    connection = await connect(
        database, application_name="kasparro migrate", lock_timeout_seconds=lock_timeout_seconds
    )
    try:
        await end_when_idle(connection, IDLE_SECONDS)
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def _locked(connection: Connection) -> AsyncIterator[None]:
    """Hold the migrators' lock; it ends with the session, also of a killed migrator."""
    version = connection.get_server_version()
    if version.major < OLDEST_SERVER:
        raise DatabaseTooOldError(
            f"PostgreSQL {version.major} is too old: {OLDEST_SERVER} or newer is needed"
        )
    try:
        await connection.execute(
            "SELECT pg_advisory_lock($1)", LOCK_KEY, timeout=LOCK_TIMEOUT_SECONDS
        )
    except (TimeoutError, asyncpg.LockNotAvailableError):
        raise MigrationBusyError(
            f"another process has been migrating this database for {LOCK_TIMEOUT_SECONDS:g} s: "
            "try again later"
        ) from None
    try:
        yield
    finally:
        if not connection.is_closed():
            await connection.execute("SELECT pg_advisory_unlock($1)", LOCK_KEY)


def _milliseconds(seconds: float) -> str:
    return str(round(seconds * 1000))


_STATEMENT_TIMEOUT = _milliseconds(STATEMENT_TIMEOUT_SECONDS)


def _line_of(error: asyncpg.PostgresError, sql: str) -> str:
    """Return ` at line N` if the server reports where its parser stopped."""
    position = getattr(error, "position", None)
    return f" at line {sql.count(chr(10), 0, int(position) - 1) + 1}" if position else ""
