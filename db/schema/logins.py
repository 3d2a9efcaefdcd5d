"""Separate logins for the server and the ingestor, with the rights that each needs.

The server reads everything and requests runs. The ingestor reads and writes rows; of the schema it
changes only the partitions by time (`db/schema/migrations/0009_logins.sql`). Neither can return to
the owner's rights, because each logs in as a role of its own. A program that has the owner's
DATABASE_URL makes the logins, and uses them in its place.
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
    """A part cannot have a separate login; the message says why."""


class Rights(msgspec.Struct, frozen=True):
    """The rights of a session's login."""

    role: str
    owns: bool
    """It is the owner of the tables, a member of that role, or a superuser."""
    creates: bool
    """May make tables."""
    writes: bool
    """May change or delete rows."""
    serves: bool
    """May do what a server does."""
    ingests: bool
    """May do what an ingestor does."""

    def excess_of(self, part: Part) -> str | None:
        """Return a right that the login has and a part does not need, or None."""
        if self.owns:
            return "has the rights of the tables' owner"
        if self.creates:
            return "may make tables"
        return "may change and delete rows" if part == "server" and self.writes else None

    def suffices_for(self, part: Part) -> bool:
        """Return whether the login has the rights that a part needs."""
        return self.serves if part == "server" else self.ingests


# No part may use the owner's table `logins`; the parts only read the applied migrations.
_RIGHTS = """
SELECT current_user::text AS role, pg_has_role(
        current_user, (SELECT relowner FROM pg_class WHERE oid = 'listings'::regclass), 'MEMBER'
    ) AS owns,
    has_schema_privilege('public', 'CREATE') AS creates,
    bool_or(has_table_privilege(c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')) AS writes,
    bool_and(has_table_privilege(c.oid, 'SELECT') OR c.relname = 'logins')
        AND has_column_privilege('etl_requests', 'sources', 'INSERT') AS serves,
    bool_and(
        has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT')
        AND has_table_privilege(c.oid, 'UPDATE') AND has_table_privilege(c.oid, 'DELETE')
        OR c.relname IN ('logins', 'schema_migrations')
    )
    AND has_function_privilege('create_partition(text, text, timestamptz, timestamptz)', 'EXECUTE')
        AS ingests
FROM pg_class AS c
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
    AND c.relowner = (SELECT relowner FROM pg_class WHERE oid = 'listings'::regclass)
"""


async def read_rights(connection: Connection) -> Rights:
    """Return the rights of a session's login. Raises LoginError before the first migration."""
    try:
        row = await connection.fetchrow(_RIGHTS)
    except (asyncpg.UndefinedTableError, asyncpg.UndefinedFunctionError):
        raise LoginError("the database is not at the schema of this version") from None
    assert row is not None  # noqa: S101 - an aggregate
    return Rights(**row)


_STORED = "SELECT role, password FROM logins WHERE part = $1"


async def login_dsn(dsn: str, part: Part) -> str:
    """Return the DSN of a part's separate login to the database of `dsn`; create a missing login.

    A DSN without excess rights is returned unchanged. Raises LoginError if the login is missing and
    cannot be created, and DatabaseUnavailableError.
    """
    connection = await connect(dsn, application_name="kasparro logins")
    try:
        if (await read_rights(connection)).excess_of(part) is None:
            return normalize_dsn(dsn)
        try:
            login = await connection.fetchrow(_STORED, part)
            if login is not None and await _is_usable(own := _as_user(dsn, *login), part):
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
    """Return the result of `login_dsn`; without a separate login, warn and return `dsn`."""
    try:
        return await login_dsn(dsn, part)
    except LoginError as error:
        _warn(part, str(error))
        return dsn


async def same_login(own: str, dsn: str, part: Part) -> str:
    """Return the DSN of a replica with the primary's login `own`, unless its own has no excess.

    For an unavailable replica nothing is checked: it has its primary's roles.
    """
    parts = urlsplit(own)
    candidate = _as_user(dsn, parts.username or "", parts.password or "", quoted=True)
    try:
        connection = await connect(dsn, application_name="kasparro logins")
        try:
            if (await read_rights(connection)).excess_of(part) is None:
                return dsn
        finally:
            await connection.close()
        if await _is_usable(candidate, part):
            return candidate
    except DatabaseUnavailableError:
        return candidate
    except LoginError as error:
        reason = str(error)
    else:
        reason = "the replica does not know the login of the primary"
    _warn(part, reason)
    return dsn


def _warn(part: Part, reason: str) -> None:
    log.warning(
        "login.not_separate",
        part=part,
        reason=reason,
        remedy="`kasparro doctor` says what to do",
    )


async def write_password_file(dsn: str, part: Part, path: Path) -> str:
    """Write the password of a part's login to a file for libpq and asyncpg; return its role.

    The file is in the pgpass format, and only its owner can read it. Raises LoginError, OSError,
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
    """Return the role of a part's login, without creating one.

    Raises LoginError if there is none, with the reason.
    """
    rights = await read_rights(connection)
    if rights.excess_of(part) is None:
        return rights.role
    try:
        login = await connection.fetchrow(_STORED, part)
    except asyncpg.InsufficientPrivilegeError:
        login = None
    if login is not None and await connection.fetchval(_ROLE_EXISTS, login["role"]):
        return str(login["role"])
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
    drop_empty_partition, drop_former_history, drop_former_payloads, compact_partition TO {role};
GRANT USAGE ON SEQUENCE listing_ids, body_ids TO {role};
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {role};
""",
}


async def _make(connection: Connection, part: Part) -> tuple[str, str]:
    """Create a part's login, or reset its password and rights; return its role and password."""
    async with connection.transaction():
        await take_logins_lock(connection)  # another process may do the same
        login = await connection.fetchrow(_STORED, part)
        database = await connection.fetchval(_DATABASE)
        role, password = login or (role_name(part, database), secrets.token_urlsafe(32))
        quoted = '"' + role.replace('"', '""') + '"'
        statement = _ALTER if await connection.fetchval(_ROLE_EXISTS, role) else _CREATE
        await connection.execute(statement.format(role=quoted, verifier=scram_sha_256(password)))
        rights = {"role": quoted, "tables": await connection.fetchval(_TABLES)}
        await connection.execute(_GRANTS[part].format(**rights))
        await connection.execute(_STORE, part, role, password)
    return role, password


def role_name(part: Part, database: str) -> str:
    """Return the name of a part's role: it names the database, because roles are server-wide."""
    name = f"kasparro_{part}_{database}"
    if len(name.encode()) <= _LONGEST_NAME:
        return name
    return f"kasparro_{part}_{hashlib.sha256(database.encode()).hexdigest()[:16]}"


async def _is_usable(dsn: str, part: Part) -> bool:
    """Return whether a login has exactly the rights of a part. Raises as `connect` does."""
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
    parameters = [
        (key, value) for key, value in parse_qsl(parts.query) if key not in _USER_PARAMETERS
    ]
    query = f"?{urlencode(parameters, safe='/', quote_via=quote)}" if parameters else ""
    hosts = parts.netloc.rpartition("@")[2]
    return f"postgresql://{user}{f':{secret}' if secret else ''}@{hosts}{parts.path}{query}"
