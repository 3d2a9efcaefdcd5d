"""Check whether the server and the ingestor have logins with only the rights that they need."""

from db.connect.pool import connect
from db.schema.logins import PARTS, LoginError, Part, find_login
from kasparro.doctor.findings import Finding

REMEDY = (
    "let the login of DATABASE_URL create roles (ALTER ROLE ... CREATEROLE) and start the service "
    "again; until then an intruder can change everything"
)


async def check_logins(dsn: str) -> list[Finding]:
    """Check the login of each process, without creating one."""
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
