"""The one database of an embedded server, and the rights that everyone has in it."""

import asyncpg

from db.connect.pool import Connection

DATABASE = "kasparro"
CONNECT_TIMEOUT_SECONDS = 5.0

DATABASE_EXISTS = "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)"

CREATE_DATABASE = f"CREATE DATABASE {DATABASE}"

# The server and the ingestor have logins of their own, which need less than PUBLIC has by default.
CLOSE_TO_PUBLIC = f"""
REVOKE TEMPORARY ON DATABASE {DATABASE} FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION lo_creat, lo_create, lo_from_bytea FROM PUBLIC
"""


async def prepare_database(connection: Connection, dsn: str) -> None:
    """Create the database unless it exists, and restrict what its logins have by default.

    `connection` leads to another database and is closed; `dsn` leads to this one.
    """
    try:
        if not await connection.fetchval(DATABASE_EXISTS, DATABASE):
            await connection.execute(CREATE_DATABASE)
    finally:
        await connection.close()
    own = await asyncpg.connect(dsn, timeout=CONNECT_TIMEOUT_SECONDS)
    try:
        await own.execute(CLOSE_TO_PUBLIC)
    finally:
        await own.close()
