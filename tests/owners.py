"""An owner of a database without a superuser's rights, as managed PostgreSQL gives out."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest

from db.connect.pool import connect
from db.schema.logins import PARTS, role_name
from tests.conftest import with_database


@asynccontextmanager
async def an_owner(server_dsn: str, database: str, options: str) -> AsyncIterator[str]:
    """Yield the DSN of the owner of `database`; `options` are CREATEROLE or NOCREATEROLE."""
    if "//postgres@" not in server_dsn:
        pytest.skip("the server of TEST_DATABASE_URL has users of its own")
    admin, role = await connect(server_dsn), f"owner_{secrets.token_hex(4)}"
    name = urlsplit(database).path[1:]
    try:
        await admin.execute(f"CREATE ROLE {role} LOGIN {options} PASSWORD 'x'")
        await admin.execute(f"ALTER DATABASE {name} OWNER TO {role}")
        yield database.replace("//postgres@", f"//{role}@", 1)
        await admin.execute(f"ALTER DATABASE {name} OWNER TO CURRENT_USER")
        inside = await connect(with_database(server_dsn, name))
        try:
            await inside.execute(f"REASSIGN OWNED BY {role} TO CURRENT_USER; DROP OWNED BY {role}")
            made = [role_name(part, name) for part in PARTS]
            for row in await inside.fetch(
                "SELECT rolname FROM pg_roles WHERE rolname = ANY ($1)", made
            ):
                await inside.execute(f"DROP OWNED BY {row[0]}; DROP ROLE {row[0]}")
            await inside.execute(f"DROP ROLE {role}")
        finally:
            await inside.close()
    finally:
        await admin.close()
