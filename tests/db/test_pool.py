"""Connections: their settings, JSON and limits, and what a user reads when there is none."""

import asyncio
import datetime as dt
import os
import socket
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import asyncpg
import msgspec
import psutil
import pytest

from common.dsn import DatabaseUrlError, database_location, normalize_dsn
from db.connect.pool import (
    UNAVAILABLE,
    Connection,
    DatabaseUnavailableError,
    Pool,
    connect,
    create_pool,
    is_transient,
    is_unavailable,
)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("postgres://u:p@h:5/d", "postgresql://u:p@h:5/d"),
        ("postgresql+asyncpg://u:p@h/d", "postgresql://u:p@h/d"),
        ("postgresql+psycopg://h/d", "postgresql://h/d"),
        (" postgresql://h/d \n", "postgresql://h/d"),
        ("postgresql://u:p%40%2Fq@h/d", "postgresql://u:p%40%2Fq@h/d"),
        (
            "postgresql://postgres@/d?host=/tmp/x y&port=5432",
            "postgresql://postgres@/d?host=/tmp/x%20y&port=5432",
        ),
        ("postgresql+asyncpg://h/d?ssl=require", "postgresql://h/d?sslmode=require"),
        (
            "postgres://h/d?sslmode=require&channel_binding=require&connect_timeout=5",
            "postgresql://h/d?sslmode=require",
        ),
        (
            "postgresql://a:1,b:2/d?target_session_attrs=any",
            "postgresql://a:1,b:2/d?target_session_attrs=any",
        ),
        ("postgresql://[::1]:5432/d", "postgresql://[::1]:5432/d"),
    ],
)
def test_urls_of_other_tools_are_understood(given: str, wanted: str) -> None:
    assert normalize_dsn(given) == wanted
    assert normalize_dsn(wanted) == wanted


@pytest.mark.parametrize(
    "given",
    [
        "",
        "mysql://h/d",
        "h:5432/d",
        "postgresql://u:secret/x@h/d",
        "postgresql://h:0/d",
        "postgresql://u:s#ecret@h/d",
    ],
)
def test_what_is_no_postgresql_url_is_refused_without_showing_it(given: str) -> None:
    with pytest.raises(DatabaseUrlError) as caught:
        normalize_dsn(given)
    assert "a PostgreSQL URL such as" in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("dsn", "shown"),
    [
        ("postgresql://u:secret@db.example:6543/kasparro", "db.example:6543/kasparro"),
        ("postgresql://u:secret@db.example/kasparro", "db.example:5432/kasparro"),
        ("postgresql://u:secret@[::1]/kasparro", "[::1]:5432/kasparro"),
        ("postgresql://postgres@/kasparro?host=/run/pg&port=5432", "/run/pg/kasparro"),
        ("postgresql:///kasparro", "localhost:5432/kasparro"),
    ],
)
def test_a_location_shows_no_credentials(dsn: str, shown: str) -> None:
    assert database_location(dsn) == shown


async def test_a_session_is_in_utc_without_jit_and_named(database: str) -> None:
    connection = await connect(
        database, application_name="kasparro test", statement_timeout_seconds=1.5
    )
    settings = await connection.fetchrow(
        """
        SELECT current_setting('timezone'), current_setting('jit'),
               current_setting('application_name'),
               current_setting('statement_timeout'), '2026-02-03 20:21:11+01'::timestamptz
        """
    )
    assert tuple(settings or ()) == (
        "UTC",
        "off",
        "kasparro test",
        "1500ms",
        dt.datetime(2026, 2, 3, 19, 21, 11, tzinfo=dt.UTC),
    )
    await connection.close()


@pytest.mark.parametrize("kind", ["json", "jsonb"])
async def test_json_passes_through_unparsed(connection: Connection, kind: str) -> None:
    """A number with more digits than a float holds comes back as it was."""
    text = '{"price": 0.123456789012345678901234567890}'
    echo = f"SELECT $1::{kind}"
    for given in (text, text.encode(), msgspec.Raw(text.encode())):
        value = await connection.fetchval(echo, given)
        assert bytes(value) == text.encode()
        assert msgspec.json.encode({"payload": value}) == b'{"payload":' + text.encode() + b"}"
    assert msgspec.json.decode(await connection.fetchval(echo, {"a": [1, None]})) == {
        "a": [1, None]
    }
    assert await connection.fetchval(echo, None) is None
    assert await connection.fetchval(f"SELECT $1::{kind}[]", ["1", b'"x"']) == [
        msgspec.Raw(b"1"),
        msgspec.Raw(b'"x"'),
    ]
    with pytest.raises(asyncpg.InvalidTextRepresentationError):
        await connection.fetchval(echo, "{broken")


async def test_a_statement_that_takes_too_long_is_cancelled_by_the_server(database: str) -> None:
    async with await create_pool(database, statement_timeout_seconds=0.1) as pool:
        with pytest.raises(asyncpg.QueryCanceledError):
            await pool.execute("SELECT pg_sleep(600)")
        assert await pool.fetchval("SELECT 1") == 1


async def test_a_pool_opens_no_more_than_it_may(database: str) -> None:
    async with await create_pool(database, max_size=2, application_name="two") as pool:
        await asyncio.gather(*(pool.execute("SELECT pg_sleep(0.02)") for _ in range(8)))
        assert (
            await pool.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'two'"
            )
            == 2
        )


async def test_no_server_gives_one_line_without_the_password() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound, not listening: refused
        port = unused.getsockname()[1]
        dsn = f"postgres://user:secret@127.0.0.1:{port}/kasparro"
        for opening in (connect(dsn), create_pool(dsn)):
            with pytest.raises(DatabaseUnavailableError) as caught:
                await opening
            line = str(caught.value)
            assert line.startswith(f"PostgreSQL at 127.0.0.1:{port}/kasparro is out of reach: ")
            assert line.endswith("; start it or set DATABASE_URL")
            assert "secret" not in line
            assert "\n" not in line


async def test_a_server_that_does_not_answer_is_not_waited_for_long() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        with pytest.raises(DatabaseUnavailableError, match=r"no answer within 0\.2 s"):
            await connect(
                f"postgresql://u@127.0.0.1:{port}/d?sslmode=disable", connect_timeout_seconds=0.2
            )


async def test_a_database_that_is_not_there_is_named(database: str) -> None:
    dsn = urlsplit(database)._replace(path="/no_such_database").geturl()
    with pytest.raises(
        DatabaseUnavailableError, match='database "no_such_database" does not exist'
    ):
        await connect(dsn)


async def test_a_connection_lost_in_the_middle_counts_as_unavailable_and_the_pool_recovers(
    database: str, connection: Connection
) -> None:
    async with await create_pool(database, max_size=1) as pool:
        pid = await pool.fetchval("SELECT pg_backend_pid()")
        lost = asyncio.create_task(pool.execute("SELECT pg_sleep(600)"))
        async with asyncio.timeout(10):
            while not await connection.fetchval(
                "SELECT state = 'active' FROM pg_stat_activity WHERE pid = $1", pid
            ):
                pass
        await connection.execute("SELECT pg_terminate_backend($1)", pid)
        with pytest.raises(UNAVAILABLE):
            await lost
        assert await _backend(pool) != pid


async def test_a_connection_lost_in_a_transaction_counts_as_unavailable(
    database: str, pool: Pool
) -> None:
    victim = await connect(database)

    async def be_cut_off() -> None:
        async with victim.transaction():
            await pool.execute("SELECT pg_terminate_backend($1, 10000)", victim.get_server_pid())
            await victim.execute("SELECT 1")

    with pytest.raises(asyncpg.InterfaceError) as caught:
        await be_cut_off()
    assert is_unavailable(caught.value)


async def test_a_mistake_of_ours_does_not_count_as_unavailable(connection: Connection) -> None:
    with pytest.raises(asyncpg.DataError) as caught:
        await connection.execute("SELECT $1::int", "no number")
    assert not is_unavailable(caught.value)


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.InternalClientError(
            "cannot switch to state 12; another operation (2) is in progress"
        ),
        asyncpg.InternalClientError('cannot switch to state 15; protocol is in the "failed" state'),
        asyncpg.InterfaceError(
            "cannot call Transaction.commit(): the underlying connection is closed"
        ),
        asyncpg.InterfaceError(
            "cannot call PreparedStatement.fetch(): the underlying connection has been released "
            "back to the pool"
        ),
        asyncpg.InterfaceError("pool is closing"),
    ],
)
def test_what_asyncpg_says_while_a_server_restarts_counts_as_unavailable(error: Exception) -> None:
    assert is_unavailable(error)
    assert is_transient(error)


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.InternalClientError("got result for unknown protocol state 3"),
        asyncpg.InterfaceError("the server expects 1 argument for this query, 2 were passed"),
        asyncpg.UndefinedTableError('relation "nothing" does not exist'),
    ],
)
def test_what_asyncpg_says_of_a_mistake_does_not(error: Exception) -> None:
    assert not is_unavailable(error)
    assert not is_transient(error)


async def test_a_connection_that_cannot_be_prepared_is_not_left_open(
    database: str, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise asyncpg.CharacterNotInRepertoireError("no such codec")

    monkeypatch.setattr(asyncpg.Connection, "set_type_codec", fail)
    with pytest.raises(asyncpg.CharacterNotInRepertoireError) as kept:
        await connect(database, application_name="unprepared")
    count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'unprepared'"
    async with asyncio.timeout(10):
        while await connection.fetchval(count):
            await asyncio.sleep(0.01)
    # Only now may it be collected, which would close the connection too.
    del kept


async def _backend(pool: Pool) -> object:
    return await pool.fetchval("SELECT pg_backend_pid()")


async def test_no_session_waits_for_a_lock_or_sits_in_a_transaction_for_ever(database: str) -> None:
    connection = await connect(database)
    try:
        shown = [
            await connection.fetchval(f"SHOW {name}")
            for name in ("lock_timeout", "idle_in_transaction_session_timeout")
        ]
        assert shown == ["1min", "10s"]
    finally:
        await connection.close()


async def test_a_tcp_connection_is_kept_alive_so_that_a_lost_server_is_noticed(
    database: str,
) -> None:
    socket_path = Path(parse_qs(urlsplit(database).query).get("host", [""])[0], ".s.PGSQL.5432")
    if "TEST_DATABASE_URL" in os.environ:
        pytest.skip("the server of TEST_DATABASE_URL is not the embedded one")
    options: list[int] = []

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_unix_connection(socket_path)

        async def pass_on(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            while data := await source.read(65_536):
                target.write(data)
                await target.drain()
            target.close()

        await asyncio.gather(pass_on(reader, server_writer), pass_on(server_reader, writer))

    relaying = await asyncio.start_server(relay, "127.0.0.1", 0)
    port = relaying.sockets[0].getsockname()[1]
    name = urlsplit(database).path
    connection = await connect(f"postgresql://postgres@127.0.0.1:{port}{name}")
    own = {
        made.fd
        for made in psutil.Process().net_connections(kind="tcp")
        if made.status == psutil.CONN_ESTABLISHED and made.raddr[1:] == (port,)
    }
    for descriptor in own:
        with socket.socket(fileno=os.dup(descriptor)) as shared:
            options.append(shared.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))
    await connection.close()
    relaying.close()
    assert options == [1]
