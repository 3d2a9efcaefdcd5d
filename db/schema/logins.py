"""Logins of their own for the server and the ingestor, so that neither can do more than its work needs.

The server reads everything and asks for runs. The ingestor reads and writes rows, and changes of
the schema only the partitions by time (`db/schema/migrations/0009_logins.sql`). Neither can go back
to the owner's rights: they are other roles, logged in as such. They are made by whoever has the
owner's DATABASE_URL, and used in place of it.
"""

import hashlib
import secrets
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

import asyncpg
import msgspec
import structlog

from common.dsn import normalize_dsn
from db.connect.locks import take_logins_lock
from db.connect.pool import DatabaseUnavailableError, connect
from db.connect.types import Connection
from db.schema.scram import scram_sha_256

Part = Literal["server", "ingestor"]
PARTS: tuple[Part, ...] = ("server", "ingestor")

_LONGEST_NAME = 63  # what PostgreSQL keeps of a name
_USER_PARAMETERS = frozenset({"user", "password", "passfile"})

log = structlog.stdlib.get_logger(__name__)


class LoginError(Exception):
    """A part cannot have a login of its own; the message says why."""


class Rights(msgspec.Struct, frozen=True):
    """What a session's login may do."""

    role: str
    owns: bool
    """May do as the owner of the tables does: it is the owner, one of its members, or a superuser."""
    creates: bool
    """May make tables."""
    writes: bool
    """May change or delete rows."""
    serves: bool
    """May do what a server does."""
    ingests: bool
    """May do what an ingestor does."""

    def excess_of(self, part: Part) -> str | None:
        """Return what the login may do beyond what a part needs; None where it is nothing."""
        if self.owns:
            return "has the rights of the tables' owner"
        if self.creates:
            return "may make tables"
        return "may change and delete rows" if part == "server" and self.writes else None

    def suffices_for(self, part: Part) -> bool:
        """Tell whether the login may do what a part needs."""
        return self.serves if part == "server" else self.ingests


# The owner's own table is no part's business; what was applied is for reading alone.
_RIGHTS = """
SELECT current_user::text AS role,
       pg_has_role(current_user, (SELECT relowner FROM pg_class WHERE oid = 'listings'::regclass),
           'MEMBER') AS owns,
       has_schema_privilege('public', 'CREATE') AS creates,
       bool_or(has_table_privilege(c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')) AS writes,
       bool_and(has_table_privilege(c.oid, 'SELECT') OR c.relname = 'logins')
           AND has_column_privilege('etl_requests', 'sources', 'INSERT') AS serves,
       bool_and(
           has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT')
           AND has_table_privilege(c.oid, 'UPDATE') AND has_table_privilege(c.oid, 'DELETE')
           OR c.relname IN ('logins', 'schema_migrations')
       ) AND has_function_privilege('create_partition(text, text, timestamptz, timestamptz)',
           'EXECUTE') AS ingests
FROM pg_class AS c
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
    AND c.relowner = (SELECT relowner FROM pg_class WHERE oid = 'listings'::regclass)
"""


async def read_rights(connection: Connection) -> Rights:
    """Return what the login of a session may do.

    Raises LoginError where the schema is not there yet.
    """
    try:
        row = await connection.fetchrow(_RIGHTS)
    except (asyncpg.UndefinedTableError, asyncpg.UndefinedFunctionError):
        raise LoginError("the database is not at the schema of this version") from None
    assert row is not None  # noqa: S101 - an aggregate
    return Rights(**row)


_STORED = "SELECT role, password FROM logins WHERE part = $1"


async def login_dsn(dsn: str, part: Part) -> str:
    """Return the DSN of a part's own login for the database of `dsn`; make the login where it is missing.

    A DSN whose login can do no more than the part needs is returned as it is. Raises LoginError
    where there is no such login and none can be made, and DatabaseUnavailableError.
    """
    connection = await connect(dsn, application_name="kasparro logins")
    try:
        if (await read_rights(connection)).excess_of(part) is None:
            return normalize_dsn(dsn)
        try:
            stored = await connection.fetchrow(_STORED, part)
            if stored is not None and await _is_usable(own := _as_user(dsn, *stored), part):
                return own
            role, password = await _make(connection, part)
        except asyncpg.InsufficientPrivilegeError as error:
            raise LoginError(f"a login of its own cannot be made for it: {error}") from None
    finally:
        await connection.close()
    own = _as_user(dsn, role, password)
    if not await _is_usable(own, part):
        raise LoginError(f"the role {role} cannot be used: its rights or its password do not fit")
    return own


async def login_or_warn(dsn: str, part: Part) -> str:
    """Return what `login_dsn` does; where there is no login of its own, warn and return `dsn`."""
    try:
        return await login_dsn(dsn, part)
    except LoginError as error:
        _warn(part, str(error))
        return dsn


async def same_login(own: str, dsn: str, part: Part) -> str:
    """Return the DSN of a replica with the login that `own` has for its primary, unless its own can do no more.

    A replica that is away is not asked: it has its primary's roles.
    """
    parts = urlsplit(own)
    given = _as_user(dsn, parts.username or "", parts.password or "", quoted=True)
    try:
        connection = await connect(dsn, application_name="kasparro logins")
        try:
            if (await read_rights(connection)).excess_of(part) is None:
                return dsn
        finally:
            await connection.close()
        if await _is_usable(given, part):
            return given
    except DatabaseUnavailableError:
        return given
    except LoginError as error:
        reason = str(error)
    else:
        reason = "the replica does not know the login of the primary"
    _warn(part, reason)
    return dsn


def _warn(part: Part, reason: str) -> None:
    log.warning(
        "working with more rights than needed: there is no login of its own",
        part=part,
        reason=reason,
        remedy="`kasparro doctor` says what to do",
    )


async def write_password_file(dsn: str, part: Part, path: Path) -> str:
    """Write the password of a part's own login to a file that libpq and asyncpg read (pgpass); return its role.

    The file is its user's alone, as they want it. Raises LoginError, OSError,
    DatabaseUnavailableError.
    """
    parts = urlsplit(await login_dsn(dsn, part))
    if not parts.password:
        raise LoginError(
            "DATABASE_URL has no password, so it is not the owner's with which logins are made"
        )
    role = unquote(parts.username or "")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    unfinished.touch(mode=0o600, exist_ok=False)
    unfinished.write_text(f"*:*:*:{role}:{unquote(parts.password)}\n", encoding="utf-8")
    unfinished.replace(path)
    return role


async def find_login(connection: Connection, part: Part) -> str:
    """Return the role of a part's own login, without making one.

    Raises LoginError, which says why there is none.
    """
    rights = await read_rights(connection)
    if rights.excess_of(part) is None:
        return rights.role
    try:
        stored = await connection.fetchrow(_STORED, part)
    except asyncpg.InsufficientPrivilegeError:
        stored = None
    if stored is not None and await connection.fetchval(_ROLE_EXISTS, stored["role"]):
        return str(stored["role"])
    if await connection.fetchval(_MAY_MAKE_ROLES):
        raise LoginError("it is made when the service starts next")
    raise LoginError(
        f"the role {rights.role} {rights.excess_of(part)} and may not make other roles"
    )


_DATABASE = "SELECT current_database()::text"
_ROLE_EXISTS = "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)"
_MAY_MAKE_ROLES = "SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user"
_STORE = """
INSERT INTO logins (part, role, password) VALUES ($1, $2, $3)
ON CONFLICT (part) DO UPDATE SET role = excluded.role, password = excluded.password
"""
_CREATE = "CREATE ROLE {role} LOGIN PASSWORD '{verifier}'"
_ALTER = "ALTER ROLE {role} LOGIN PASSWORD '{verifier}'"
# Other programs may have tables in the same schema.
_TABLES = """
SELECT string_agg(format('public.%I', relname), ', ')
FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
    AND relowner = (SELECT relowner FROM pg_class WHERE oid = 'listings'::regclass)
"""
_GRANTS: dict[Part, str] = {
    "server": """
GRANT USAGE ON SCHEMA public TO {role};
GRANT SELECT ON {tables} TO {role};
REVOKE ALL ON logins FROM {role};
GRANT INSERT (sources, full_run) ON etl_requests TO {role};
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO {role};
""",
    "ingestor": """
GRANT USAGE ON SCHEMA public TO {role};
GRANT SELECT, INSERT, UPDATE, DELETE ON {tables} TO {role};
REVOKE ALL ON logins FROM {role};
REVOKE INSERT, UPDATE, DELETE ON schema_migrations FROM {role};
GRANT EXECUTE ON FUNCTION create_partition, detach_partition, drop_detached_partition,
    drop_empty_partition TO {role};
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {role};
""",
}


async def _make(connection: Connection, part: Part) -> tuple[str, str]:
    """Make a part's login, or give it back its password and rights, and return its role and password."""
    async with connection.transaction():
        await take_logins_lock(connection)  # another process may be at it
        stored = await connection.fetchrow(_STORED, part)
        role, password = stored or (
            role_name(part, await connection.fetchval(_DATABASE)),
            secrets.token_urlsafe(32),
        )
        quoted = '"' + role.replace('"', '""') + '"'
        exists = await connection.fetchval(_ROLE_EXISTS, role)
        await connection.execute(
            (_ALTER if exists else _CREATE).format(role=quoted, verifier=scram_sha_256(password))
        )
        tables = await connection.fetchval(_TABLES)
        await connection.execute(_GRANTS[part].format(role=quoted, tables=tables))
        await connection.execute(_STORE, part, role, password)
    return role, password


def role_name(part: Part, database: str) -> str:
    """Return the name of a part's role: roles belong to the whole server, so the database stands in it."""
    name = f"kasparro_{part}_{database}"
    if len(name.encode()) <= _LONGEST_NAME:
        return name
    return f"kasparro_{part}_{hashlib.sha256(database.encode()).hexdigest()[:16]}"


async def _is_usable(dsn: str, part: Part) -> bool:
    """Tell whether a login is let in and may do what a part needs, and nothing more.

    Raises as `connect` does.
    """
    try:
        connection = await connect(dsn, application_name="kasparro logins")
    except DatabaseUnavailableError as error:
        if isinstance(
            error.__cause__,
            (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.ProtocolViolationError),
        ):
            return False
        raise
    try:
        rights = await read_rights(connection)
    finally:
        await connection.close()
    return rights.excess_of(part) is None and rights.suffices_for(part)


def _as_user(dsn: str, role: str, password: str, *, quoted: bool = False) -> str:
    """Return a DSN with another user and password."""
    parts = urlsplit(normalize_dsn(dsn))
    user, secret = (role, password) if quoted else (quote(role, safe=""), quote(password, safe=""))
    kept = [(key, value) for key, value in parse_qsl(parts.query) if key not in _USER_PARAMETERS]
    query = f"?{urlencode(kept, safe='/', quote_via=quote)}" if kept else ""
    hosts = parts.netloc.rpartition("@")[2]
    return f"postgresql://{user}{f':{secret}' if secret else ''}@{hosts}{parts.path}{query}"
