"""The message and the exit code of a command that fails.

0  done
1  failed: the database is out of reach, a check of `doctor` failed
2  refused, nothing was started: a bad setting or option, a taken port, a state folder in use
3  a run was partial: some records were rejected
4  a run failed, or a requested source was not run
128 + n  signal n ended it (143: SIGTERM, 130: Ctrl-C), after the command closed its resources
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
    """The command cannot continue; the message is one sentence: why, and what to do."""

    exit_code = FAILED


class CommandRefusedError(CommandError):
    """Nothing was started, because of the state of the system or the arguments."""

    exit_code = REFUSED


_EXPECTED: tuple[tuple[type[Exception], int], ...] = (
    (SettingsError, REFUSED),
    (HomeInUseError, REFUSED),
    (DatabaseUnavailableError, FAILED),
    (MigrationError, FAILED),
    (EmbeddedPostgresError, FAILED),
)


def explain(error: Exception) -> tuple[str, int] | None:
    """Return the message and exit code of an expected error, None for an error of our own."""
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
