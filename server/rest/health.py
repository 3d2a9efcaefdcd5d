"""GET /health, /health/live and /health/ready: for users, supervisors and load balancers."""

import datetime
from typing import Literal

import msgspec
import structlog
from starlette.requests import Request
from starlette.responses import Response

from db.connect.pool import is_transient
from db.loop_problems import read_problems
from db.read.health import Freshness, LastRun, read_freshness, read_last_run
from db.read.streams import stream_problems
from server.rest.responses import Json, demo_mark, now
from server.state import ServerState

log = structlog.stdlib.get_logger(__name__)


class Ready(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Whether the server is ready: it has a database with data that was read recently.

    `problems` has sentences about what stops the ingestor.
    """

    status: Literal["ready", "not_ready"]
    database: Literal["connected", "disconnected"]
    data: Literal["fresh", "stale", "missing", "unknown"]
    data_age_seconds: int | None
    problems: tuple[str, ...] = ()


async def get_health(request: Request) -> Response:
    """Answer in the shape of the older service: 200 while the database answers, else 503."""
    state: ServerState = request.app.state.server
    last = await _last_run(state)
    away = last is None
    body = {
        "status": "error" if away else "ok",
        "database": "disconnected" if away else "connected",
        "last_etl": last and last.finished_at,
        "last_etl_status": last and last.status,
        "timestamp": now(),
        **demo_mark(state),
    }
    return Json(body, 503 if away else 200)


async def get_live(_: Request) -> Response:
    """Answer 200."""
    return Json({"status": "alive"})


async def get_ready(request: Request) -> Response:
    """Answer 200 while the database has fresh data, else 503 with the reason."""
    state: ServerState = request.app.state.server
    instant = now()
    try:
        async with state.checking() as connection:
            freshness = await read_freshness(connection, instant)
            problems = await read_problems(connection) + await stream_problems(connection)
    except Exception as error:
        if not is_transient(error):
            raise
        log.warning(
            "not ready: the database is out of reach", reason=str(error) or type(error).__name__
        )
        ready = Ready(
            status="not_ready", database="disconnected", data="unknown", data_age_seconds=None
        )
        return Json(ready, 503)
    status: Literal["ready", "not_ready"] = "ready" if freshness.fresh else "not_ready"
    if state.replica is not None and state.replica.problem is not None:
        problems.append(state.replica.problem)
    ready = Ready(
        status=status,
        database="connected",
        data=_data_state(freshness),
        data_age_seconds=_age(freshness, instant),
        problems=tuple(problems),
    )
    return Json(ready, 200 if freshness.fresh else 503)


def _age(freshness: Freshness, instant: datetime.datetime) -> int | None:
    return (
        None
        if freshness.read_at is None
        else max(0, int((instant - freshness.read_at).total_seconds()))
    )


def _data_state(freshness: Freshness) -> Literal["fresh", "stale", "missing"]:
    if freshness.fresh:
        return "fresh"
    return "missing" if freshness.read_at is None else "stale"


async def _last_run(state: ServerState) -> LastRun | None:
    try:
        async with state.checking() as connection:
            return await read_last_run(connection)
    except Exception as error:
        if not is_transient(error):
            raise
        log.warning("the database is out of reach", reason=str(error) or type(error).__name__)
        return None
