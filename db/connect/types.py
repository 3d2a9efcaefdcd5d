"""Aliases of asyncpg's types: our own connection class, any connection, a pool."""

from typing import TYPE_CHECKING

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from db.connect.deadline import TimedConnection

OwnConnection = TimedConnection

# asyncpg's classes take no parameters at run time; their stubs do.
if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]
    Pool = asyncpg.Pool[asyncpg.Record]
else:
    Connection = asyncpg.Connection | PoolConnectionProxy
    Pool = asyncpg.Pool
