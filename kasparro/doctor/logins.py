"""The logins: whether the server and the ingestor can do no more than their work needs."""

from db.connect.pool import connect
from db.schema.logins import PARTS, LoginError, Part, find_login
from kasparro.doctor.findings import Finding

REMEDY = (
    "let the login of DATABASE_URL make roles (ALTER ROLE ... CREATEROLE) and start the service again; until then "
    "whoever gets into it can change everything"
)


async def check_logins(dsn: str) -> list[Finding]:
    """Look for the login of each part; none is made."""
    return [await _check(dsn, part) for part in PARTS]


async def _check(dsn: str, part: Part) -> Finding:
    subject = "Login"
    connection = await connect(dsn, application_name="kasparro doctor")
    try:
        role = await find_login(connection, part)
    except LoginError as error:
        return Finding("warn", subject, f"the {part} has none of its own: {error}", REMEDY)
    finally:
        await connection.close()
    return Finding("ok", subject, f"the {part} logs in as {role}")
