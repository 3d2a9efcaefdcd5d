"""What a user gets to read when a command cannot go on, and the exit code that a script gets.

0  done
1  it failed: the database is out of reach, a check of `doctor` failed
2  it was not even tried: a bad setting or option, a taken port, a state folder in use
3  a run was partial: some records were rejected
4  a run failed, or there was none of a source that was asked for
128 + n  signal n ended it (143: SIGTERM, 130: Ctrl-C); what it had opened is closed
"""

from common.settings import SettingsError
from db.connect.pool import DatabaseUnavailableError, database_problem
from db.embedded import EmbeddedPostgresError, HomeInUseError
from db.schema.migrate import MigrationError

FAILED = 1
REFUSED = 2
RUN_PARTIAL = 3
RUN_FAILED = 4


class CommandError(Exception):
    """The command cannot go on; the message is one sentence that says why and what to do."""

    exit_code = FAILED


class CommandRefusedError(CommandError):
    """Nothing was started: what is there already, or what was asked for, forbids it."""

    exit_code = REFUSED


_EXPECTED: tuple[tuple[type[Exception], int], ...] = (
    (SettingsError, REFUSED),
    (HomeInUseError, REFUSED),
    (DatabaseUnavailableError, FAILED),
    (MigrationError, FAILED),
    (EmbeddedPostgresError, FAILED),
)


def explain(error: Exception) -> tuple[str, int] | None:
    """Return the sentence and the exit code of an expected error; None for one that is a fault of ours."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, CommandError):
        return str(error), error.exit_code
    code = next((code for kind, code in _EXPECTED if isinstance(error, kind)), None)
    if code is not None:
        return str(error), code
    if isinstance(error, OSError) and not isinstance(error, (ConnectionError, TimeoutError)):
        return None  # of a file, not of the database
    problem = database_problem(error)
    return None if problem is None else (problem, FAILED)
