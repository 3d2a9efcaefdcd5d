"""Advisory locks: one run of a source at a time, one writer of merged data at a time."""

import zlib

from db.connect.types import Connection

# The first key is the kind of the lock ("KASx" as a big-endian number), the second the object.
_WRITE_LOCK = 0x4B415357
_SOURCE_LOCK = 0x4B415353
_LOGINS_LOCK = 0x4B41534C

# There is one writer at a time, so it may use the memory to sort and join a whole page.
_TAKE_WRITE_LOCK = (
    "SELECT pg_advisory_xact_lock($1::integer, 0), set_config('work_mem', '64MB', true)"
)
_TRY_WRITE_LOCK = (
    "SELECT pg_try_advisory_xact_lock($1::integer, 0), set_config('work_mem', '64MB', true)"
)
_TAKE_LOGINS_LOCK = "SELECT pg_advisory_xact_lock($1::integer, 0)"
_SET_LOCK_TIMEOUT = "SELECT set_config('lock_timeout', $1, true)"
# A transaction that needs a row which another one has written waits for that one's transaction ID,
# or for that of its subtransaction.
_BLOCKS_OTHERS = """
SELECT EXISTS (
    SELECT FROM pg_locks AS w JOIN pg_locks AS h ON h.transactionid = w.transactionid
    WHERE w.locktype = 'transactionid' AND NOT w.granted AND h.granted AND h.pid = pg_backend_pid()
)
"""
_END_WHEN_IDLE = """
SELECT set_config('idle_session_timeout', $1, false),
    set_config('idle_in_transaction_session_timeout', $1, false)
"""
_TRY_SOURCE_LOCK = "SELECT pg_try_advisory_lock($1::integer, $2::integer)"
_RELEASE_SOURCE_LOCK = "SELECT pg_advisory_unlock($1::integer, $2::integer)"


def _key(source: str) -> int:
    return zlib.crc32(source.encode()) - (1 << 31)


async def take_write_lock(connection: Connection) -> None:
    """Wait for the write lock and hold it to the end of this transaction.

    It serializes writers: merging reads the listings of every source, and the outbox's sequence
    numbers must become visible in order. Take it before the first row is written, so that no two
    writers wait for each other.
    """
    await connection.execute(_TAKE_WRITE_LOCK, _WRITE_LOCK)


async def try_write_lock(connection: Connection) -> bool:
    """Take the write lock if it is free; a transaction that has written rows must not wait."""
    taken: bool = await connection.fetchval(_TRY_WRITE_LOCK, _WRITE_LOCK)
    return taken


async def take_logins_lock(connection: Connection) -> None:
    """Wait for the lock for creating logins and hold it to the end of this transaction."""
    await connection.execute(_TAKE_LOGINS_LOCK, _LOGINS_LOCK)


async def set_lock_timeout(connection: Connection, seconds: float) -> None:
    """Set the time that this transaction waits for any lock from now on; 0 is without limit."""
    await connection.execute(_SET_LOCK_TIMEOUT, f"{round(seconds * 1000)}ms")


async def end_when_idle(connection: Connection, seconds: float) -> None:
    """Let the server end this session when idle so long: a frozen process must hold no lock."""
    await connection.execute(_END_WHEN_IDLE, f"{round(seconds * 1000)}ms")


async def blocks_others(connection: Connection) -> bool:
    """Return whether another transaction waits for a row that this one has written."""
    blocks: bool = await connection.fetchval(_BLOCKS_OTHERS)
    return blocks


async def try_source_lock(connection: Connection, source: str) -> bool:
    """Take the source's lock for this session if it is free; it ends with its session."""
    taken: bool = await connection.fetchval(_TRY_SOURCE_LOCK, _SOURCE_LOCK, _key(source))
    return taken


async def release_source_lock(connection: Connection, source: str) -> None:
    """Release the source's lock."""
    await connection.execute(_RELEASE_SOURCE_LOCK, _SOURCE_LOCK, _key(source))
