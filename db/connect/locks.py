"""Advisory locks: one run a source at a time, one writer of merged data at a time."""

import zlib

from db.connect.types import Connection

# The first key names what is locked, the second which one of it; "KASx" read as big-endian numbers.
_WRITE_LOCK = 0x4B415357
_SOURCE_LOCK = 0x4B415353
_LOGINS_LOCK = 0x4B41534C

# There is one writer at a time: it may have the memory to sort and join a whole page without the
# disk.
_TAKE_WRITE_LOCK = (
    "SELECT pg_advisory_xact_lock($1::integer, 0), set_config('work_mem', '64MB', true)"
)
_TRY_WRITE_LOCK = (
    "SELECT pg_try_advisory_xact_lock($1::integer, 0), set_config('work_mem', '64MB', true)"
)
_TAKE_LOGINS_LOCK = "SELECT pg_advisory_xact_lock($1::integer, 0)"
_SET_LOCK_TIMEOUT = "SELECT set_config('lock_timeout', $1, true)"
# Whoever wants a row that a transaction has written waits for the number of that transaction, or of
# its part.
_HOLDS_UP_OTHERS = """
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
    """Wait until no other transaction writes; held to the end of this transaction.

    Merging reads the listings of every source, and sequence numbers of the outbox must become
    visible in order: both need writers one after another. Take it before the first row is touched,
    so that no two wait for each other.
    """
    await connection.execute(_TAKE_WRITE_LOCK, _WRITE_LOCK)


async def try_write_lock(connection: Connection) -> bool:
    """Take the write lock unless somebody has it: who has written rows before must not wait for it."""
    taken: bool = await connection.fetchval(_TRY_WRITE_LOCK, _WRITE_LOCK)
    return taken


async def take_logins_lock(connection: Connection) -> None:
    """Wait until no other transaction makes logins; held to the end of this transaction."""
    await connection.execute(_TAKE_LOGINS_LOCK, _LOGINS_LOCK)


async def set_lock_timeout(connection: Connection, seconds: float) -> None:
    """Let this transaction wait no longer than that for any lock from here on; 0 is for ever."""
    await connection.execute(_SET_LOCK_TIMEOUT, f"{round(seconds * 1000)}ms")


async def end_when_idle(connection: Connection, seconds: float) -> None:
    """Let the server end this session when nobody used it for so long: a frozen holder keeps others waiting."""
    await connection.execute(_END_WHEN_IDLE, f"{round(seconds * 1000)}ms")


async def holds_up_others(connection: Connection) -> bool:
    """Tell whether a transaction waits for a row that this one has written."""
    held_up: bool = await connection.fetchval(_HOLDS_UP_OTHERS)
    return held_up


async def try_source_lock(connection: Connection, source: str) -> bool:
    """Take the source's lock for this session, unless somebody alive has it; a dead holder's session has let go."""
    taken: bool = await connection.fetchval(_TRY_SOURCE_LOCK, _SOURCE_LOCK, _key(source))
    return taken


async def release_source_lock(connection: Connection, source: str) -> None:
    """Let go of the source's lock."""
    await connection.execute(_RELEASE_SOURCE_LOCK, _SOURCE_LOCK, _key(source))
