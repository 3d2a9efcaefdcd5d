"""Embedded PostgreSQL: a private server in the state folder, for a machine without a database."""

from db.embedded.database import DATABASE
from db.embedded.errors import (
    BinariesMissingError,
    DataFolderError,
    DataFolderVersionError,
    EmbeddedPostgresError,
    FolderUnusableError,
    HomeInUseError,
    InitdbFailedError,
    PrivilegesError,
    ServerFailedError,
    SocketFolderError,
    SystemProgramsMissingError,
)
from db.embedded.folders import has_data, running_dsn
from db.embedded.server import EmbeddedPostgres

__all__ = [
    "DATABASE",
    "BinariesMissingError",
    "DataFolderError",
    "DataFolderVersionError",
    "EmbeddedPostgres",
    "EmbeddedPostgresError",
    "FolderUnusableError",
    "HomeInUseError",
    "InitdbFailedError",
    "PrivilegesError",
    "ServerFailedError",
    "SocketFolderError",
    "SystemProgramsMissingError",
    "has_data",
    "running_dsn",
]
