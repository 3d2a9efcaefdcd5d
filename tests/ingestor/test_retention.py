"""Deletion after the retention: by the database's clock, a little at a time after a jump."""

import datetime
from pathlib import Path

import pytest

from db.connect.clock import move_retention_clock
from db.connect.types import Connection
from db.loop_problems import read_problems
from db.schema.partitions import Retention, ensure_partitions
from db.write.runs import purge_runs
from ingestor.clock import utc_now
from ingestor.run.housekeeping import ClockDifferenceError, purge_expired
from tests.conftest import StartProgram

DAY = datetime.timedelta(days=1)
RETENTION = Retention(raw_days=7, history_days=90)
AHEAD = """
import datetime, sys
import ingestor.clock
real = ingestor.clock.utc_now
ingestor.clock.utc_now = lambda: real() + datetime.timedelta(days=400)
sys.argv = ["ingestor"]
from ingestor.__main__ import main
sys.exit(main())
"""


async def add_points(connection: Connection, now: datetime.datetime) -> int:
    """Make three months of history before `now`, a point a day; return the number of points."""
    await ensure_partitions(connection, now, RETENTION)
    await connection.execute(
        "INSERT INTO price_points (listing, at, price_usd) "
        "SELECT 1, $1::timestamptz - n * interval '1 day', 1 FROM generate_series(0, "
        "85) AS n",
        now,
    )
    return await count_points(connection)


async def count_points(connection: Connection) -> int:
    points: int = await connection.fetchval("SELECT count(*) FROM price_points")
    return points


async def set_clock(
    connection: Connection, at: datetime.datetime, moved_at: datetime.datetime
) -> None:
    await connection.execute("UPDATE retention_clock SET at = $1, moved_at = $2", at, moved_at)


async def test_an_ingestor_whose_clock_is_400_days_ahead_drops_nothing_and_says_why(
    start_program: StartProgram, database: str, connection: Connection, tmp_path: Path
) -> None:
    points = await add_points(connection, utc_now())
    (tmp_path / "coins.csv").write_text("symbol,price\nBTC,1\n")
    program = start_program(
        "-c",
        AHEAD,
        DATABASE_URL=database,
        SOURCES="csv",
        CSV_PATH=str(tmp_path / "coins.csv"),
        KASPARRO_HOME=str(tmp_path),
    )
    await program.wait_for("loop.paused .*loop=housekeeping", 60)
    await program.wait_for("run.finished", 60)
    while not (problems := await read_problems(connection)):
        assert program.process.poll() is None
    [problem] = problems
    assert problem.startswith("housekeeping: The ingestor's clock is 34,")
    assert problem.endswith(
        " s ahead of the database's: nothing that is old is dropped until they agree. "
        "Set the clocks, for example with `timedatectl set-ntp true`."
    )
    assert await count_points(connection) >= points
    assert await program.stop() == 0


@pytest.mark.parametrize("minutes", [-3, 3])
async def test_clocks_that_differ_by_minutes_drop_nothing(
    connection: Connection, monkeypatch: pytest.MonkeyPatch, minutes: int
) -> None:
    wrong = utc_now() + datetime.timedelta(minutes=minutes)
    monkeypatch.setattr("ingestor.run.housekeeping.utc_now", lambda: wrong)
    before = await connection.fetchrow("SELECT * FROM retention_clock")
    with pytest.raises(
        ClockDifferenceError,
        match=r"The ingestor's clock is 1\d\d s (ahead of|behind) the database's",
    ):
        await purge_expired(connection, RETENTION)
    assert await connection.fetchrow("SELECT * FROM retention_clock") == before


async def test_where_both_clocks_jump_by_400_days_at_most_a_day_is_dropped(
    connection: Connection,
) -> None:
    """Seen from the database that is the same as a state that was left 400 days ago."""
    then = utc_now() - 400 * DAY
    points = await add_points(connection, then)
    await connection.execute(
        "INSERT INTO price_points (listing, at, price_usd) VALUES (2, $1, 1)",
        then - 1000 * DAY,
    )
    await connection.execute(
        "INSERT INTO events (kind, at, tickers) SELECT 'coins_changed', $1, '{A}' FROM "
        "generate_series(1, 3)",
        then + DAY / 4,
    )
    await set_clock(connection, then, then)
    for _ in range(20):  # an ingestor that is restarted again and again
        await purge_expired(connection, RETENTION)
    assert await count_points(connection) == points, (
        "only what was past its retention already is gone"
    )
    assert await connection.fetchval("SELECT count(*) FROM events") == 3
    moved: datetime.timedelta = await connection.fetchval(
        "SELECT at - $1 FROM retention_clock", then
    )
    assert DAY <= moved < DAY + datetime.timedelta(minutes=10)


async def test_the_clock_of_retention_catches_up_at_twice_the_speed_and_is_never_ahead(
    connection: Connection,
) -> None:
    now = utc_now()
    hour = datetime.timedelta(hours=1)
    await set_clock(connection, now - 30 * hour, now - 10 * hour)
    assert abs(await move_retention_clock(connection) - (now - 10 * hour)) < 0.1 * hour
    await set_clock(connection, now - 3 * hour, now - 2 * hour)
    assert abs(await move_retention_clock(connection) - now) < 0.1 * hour
    await set_clock(connection, now + 400 * DAY, now + 400 * DAY)
    assert abs(await move_retention_clock(connection) - now) < 0.1 * hour


async def test_a_lower_retention_counts_at_once(connection: Connection) -> None:
    points = await add_points(connection, utc_now())
    await purge_expired(connection, Retention(raw_days=7, history_days=30))
    assert await count_points(connection) < points - 40


async def test_old_runs_are_pruned_but_for_the_newest_of_each_outcome_and_those_of_an_open_request(
    connection: Connection,
) -> None:
    old = utc_now() - 40 * DAY
    requests = [
        await connection.fetchval(
            "INSERT INTO etl_requests (sources) VALUES ('{csv}') RETURNING id"
        )
        for _ in range(2)
    ]
    await connection.execute(
        "UPDATE etl_requests SET status = 'done', finished_at = $2, requested_at = $2 WHERE id = "
        "$1",
        requests[0],
        old,
    )

    async def add(
        source: str, status: str, at: datetime.datetime, request: int | None = None
    ) -> int:
        finished = None if status == "running" else at
        number: int = await connection.fetchval(
            "INSERT INTO etl_runs (source, status, started_at, finished_at, message, request_id) "
            "VALUES ($1, $2, $3, $4, 'x', $5) RETURNING id",
            *(source, status, at, finished, request),
        )
        return number

    gone = [await add("csv", "success", old, requests[0]), await add("csv", "failure", old)]
    kept = [
        await add("csv", "failure", old),
        await add("csv", "success", old, requests[1]),
        await add("csv", "running", old),
        await add("coingecko", "partial", old),
        await add("csv", "success", utc_now()),
    ]
    await purge_runs(connection, utc_now() - 30 * DAY)
    left = [row["id"] for row in await connection.fetch("SELECT id FROM etl_runs ORDER BY id")]
    assert left == sorted(kept)
    assert not set(gone) & set(left)
    assert [row["id"] for row in await connection.fetch("SELECT id FROM etl_requests")] == [
        requests[1]
    ]
