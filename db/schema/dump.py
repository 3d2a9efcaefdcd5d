"""`python -m db.schema.dump` writes `db/schema.sql`, the result of all migrations, for reading."""

import asyncio
import re
import subprocess
import tempfile
from pathlib import Path

from db.connect.pool import connect
from db.embedded import EmbeddedPostgres
from db.embedded.cluster import ENVIRONMENT
from db.embedded.programs import wheel_programs
from db.schema.migrate import migrate

SCHEMA_FILE = Path(__file__).parent.parent / "schema.sql"
_HEADER = (
    "-- Generated from db/schema/migrations by `python -m db.schema.dump`: "
    "change a migration, not this file.\n\n"
)
_DUMP_TIMEOUT_SECONDS = 60
# pg_dump's headings, session settings, the \restrict guard with its random key, and statements
# about the embedded server only.
_NOISE = re.compile(
    r"^(--( .*)?|SET .*|SELECT pg_catalog\.set_config.*|\\(un)?restrict .*"
    r"|REVOKE ALL ON FUNCTION pg_catalog\..*)$\n?",
    re.MULTILINE,
)

ROLES = """
SELECT format('CREATE ROLE %I NOLOGIN;', rolname)
  FROM pg_roles
 -- db/schema/logins.py makes the logins, not a migration.
 WHERE rolname !~ '^pg_' AND NOT rolsuper AND NOT rolcanlogin
 ORDER BY rolname
"""


async def dump_schema(dsn: str) -> str:
    """Return the schema as stable SQL text; the server is not newer than the wheel."""
    connection = await connect(dsn, application_name="kasparro schema dump")
    try:
        roles = "".join(f"{row[0]}\n" for row in await connection.fetch(ROLES))
    finally:
        await connection.close()
    tables = _NOISE.sub("", await asyncio.to_thread(_run_pg_dump, dsn))
    return _HEADER + re.sub(r"\n{3,}", "\n\n", f"{roles}\n{tables}").strip() + "\n"


def _run_pg_dump(dsn: str) -> str:
    done = subprocess.run(
        [wheel_programs() / "pg_dump", "--schema-only", "--no-owner", f"--dbname={dsn}"],
        env=ENVIRONMENT,
        capture_output=True,
        check=True,
        text=True,
        timeout=_DUMP_TIMEOUT_SECONDS,
    )
    return done.stdout


async def _write() -> None:
    with tempfile.TemporaryDirectory(prefix="kasparro-") as home:
        async with EmbeddedPostgres(Path(home), {"fsync": "off"}) as postgres:
            await migrate(postgres.dsn)
            SCHEMA_FILE.write_text(await dump_schema(postgres.dsn), encoding="utf-8")


if __name__ == "__main__":
    asyncio.run(_write())
