"""Runs and their rejections, sources, figures, and requests for a run."""

import datetime
from typing import Any

import pytest

from db.connect.types import Connection
from tests.server.conftest import TOKEN, Service
from tests.server.graphql_rows import NOW, Json, Rows, ask, error_of

HOUR = datetime.timedelta(hours=1)
RUNS = """
query ($filter: RunFilter, $first: Int, $after: String, $last: Int, $before: String) {
  runs(filter: $filter, first: $first, after: $after, last: $last, before: $before) {
    nodes { id } pageInfo { startCursor endCursor hasNextPage hasPreviousPage } totalCount
  }
}
"""


@pytest.fixture
def rows(connection: Connection) -> Rows:
    return Rows(connection)


RUN_FILTERS: list[tuple[dict[str, Any], list[int]]] = [
    ({}, [4, 3, 2, 1]),
    ({"source": {"eq": "csv"}}, [3, 1]),
    ({"status": ["FAILURE", "ABANDONED"]}, [3, 2]),
    ({"status": []}, []),
    ({"startedAt": {"gte": "2026-02-03T22:00:00Z"}}, [4, 3]),
    ({"startedAt": {"lte": "2026-02-03T22:00:00Z"}, "source": {"in": ["coingecko"]}}, [2]),
]


async def test_runs_are_paged_newest_first_and_filtered(service: Service, rows: Rows) -> None:
    for index, (source, status) in enumerate(
        [
            ("csv", "success"),
            ("coingecko", "failure"),
            ("csv", "abandoned"),
            ("coingecko", "running"),
        ]
    ):
        at = NOW + index * HOUR
        await rows.run(
            source, status, started_at=at, finished_at=None if status == "running" else at
        )
    for run_filter, expected in RUN_FILTERS:
        page = (await ask(service, RUNS, {"filter": run_filter}))["runs"]
        assert page["nodes"] == [{"id": f"run_{number}"} for number in expected], run_filter
        assert page["totalCount"] == len(expected)
    page = (await ask(service, RUNS, {"first": 3}))["runs"]
    assert page["pageInfo"]["hasNextPage"]
    rest = (await ask(service, RUNS, {"first": 3, "after": page["pageInfo"]["endCursor"]}))["runs"]
    assert rest["nodes"] == [{"id": "run_1"}]
    assert rest["pageInfo"]["hasPreviousPage"]
    assert not rest["pageInfo"]["hasNextPage"]
    back = (await ask(service, RUNS, {"last": 2, "before": rest["pageInfo"]["startCursor"]}))[
        "runs"
    ]
    assert back["nodes"] == [{"id": "run_3"}, {"id": "run_2"}]
    assert back["pageInfo"]["hasPreviousPage"]


@pytest.mark.parametrize(
    ("has_notes", "expected"), [(True, [3, 1]), (False, [2]), (None, [3, 2, 1])]
)
async def test_runs_are_filtered_by_whether_they_have_notes(
    service: Service, rows: Rows, *, has_notes: bool | None, expected: list[int]
) -> None:
    columns: dict[str, Any] = {
        "about": "columns",
        "text": "Columns that are not read: colour",
        "count": 1,
    }
    caps: dict[str, Any] = {"about": "$.cap", "text": "Expected a number - at `$.cap`", "count": 40}
    notes_of_runs = {1: [columns, caps], 2: [], 3: [caps]}
    for notes in notes_of_runs.values():
        await rows.run("csv", notes=notes, note_count=sum(note["count"] for note in notes))
    query = """
    query ($hasNotes: Boolean) {
      runs(filter: {hasNotes: $hasNotes}) {
        nodes { id noteCount notes { about text count } } totalCount
      }
    }
    """
    page = (await ask(service, query, {"hasNotes": has_notes}))["runs"]
    assert page["totalCount"] == len(expected)
    assert page["nodes"] == [
        {
            "id": f"run_{number}",
            "noteCount": sum(note["count"] for note in notes_of_runs[number]),
            "notes": notes_of_runs[number],
        }
        for number in expected
    ]


async def test_the_rejections_of_a_run(service: Service, rows: Rows) -> None:
    run = await rows.run("csv", "partial", processed=4, failed=3, changed=1)
    for index, payload in enumerate((b'{"a": 1}', b"\xff\x00{", b"")):
        await rows.rejection(run, external_id=None if index else "btc", payload=payload)
    query = """
    query ($id: ID!, $first: Int, $after: String) {
      run(id: $id) {
        rejections(first: $first, after: $after) {
          edges { cursor node { id source externalId error payload rejectedAt } }
          nodes { id }
          pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
          totalCount
        }
      }
    }
    """

    async def read(**variables: object) -> Json:
        return (await ask(service, query, {"id": f"run_{run}", **variables}))["run"]["rejections"]

    page = await read(first=2)
    assert [edge["node"]["payload"] for edge in page["edges"]] == ['{"a": 1}', "\\xff\0{"]
    assert page["edges"][0]["node"] == {
        "id": "rejection_1",
        "source": "csv",
        "externalId": "btc",
        "error": "Expected `int` - at `$.rank`",
        "payload": '{"a": 1}',
        "rejectedAt": "2026-02-03T20:21:11.250000Z",
    }
    assert page["nodes"] == [{"id": "rejection_1"}, {"id": "rejection_2"}]
    assert page["totalCount"] == 3
    cursors = [edge["cursor"] for edge in page["edges"]]
    assert page["pageInfo"] == {
        "hasNextPage": True,
        "hasPreviousPage": False,
        "startCursor": cursors[0],
        "endCursor": cursors[1],
    }
    rest = await read(after=cursors[1])
    assert rest["nodes"] == [{"id": "rejection_3"}]
    assert rest["pageInfo"]["hasPreviousPage"]
    assert not rest["pageInfo"]["hasNextPage"]
    empty = await rows.run("csv")
    assert (await ask(service, query, {"id": f"run_{empty}"}))["run"]["rejections"] == {
        "edges": [],
        "nodes": [],
        "pageInfo": {
            "hasNextPage": False,
            "hasPreviousPage": False,
            "startCursor": None,
            "endCursor": None,
        },
        "totalCount": 0,
    }
    for variables, argument in (
        ({"first": 0}, "first"),
        ({"first": 251}, "first"),
        ({"after": "x"}, "after"),
    ):
        error = await error_of(service, query, {"id": f"run_{run}", **variables})
        assert error["extensions"] == {"code": "BAD_USER_INPUT", "argument": argument}


async def test_sources_in_the_order_of_their_priority(service: Service, rows: Rows) -> None:
    await rows.source("csv", kind="file", priority=3, enabled=False)
    await rows.source("coinpaprika", priority=1, next_run_at=NOW, poll_seconds=60)
    await rows.listing("coinpaprika", "a", "A")
    await rows.listing("coinpaprika", "b", "B", active=False)
    await rows.checkpoint("coinpaprika", last_id="b", last_timestamp=NOW - HOUR)
    await rows.run("coinpaprika")
    await rows.run("coinpaprika", "running")
    answer = await ask(
        service,
        """{ sources {
          name kind enabled pollSeconds health consecutiveFailures listingCount lastRun { id
            status } nextRunAt
          checkpoint { lastId lastTimestamp updatedAt }
        } }""",
    )
    at = "2026-02-03T20:21:11.250000Z"
    assert answer["sources"] == [
        {
            "name": "coinpaprika",
            "kind": "API",
            "enabled": True,
            "pollSeconds": 60,
            "health": "DEGRADED",
            "consecutiveFailures": 0,
            "listingCount": 2,
            "lastRun": {"id": "run_2", "status": "RUNNING"},
            "nextRunAt": at,
            "checkpoint": {
                "lastId": "b",
                "lastTimestamp": "2026-02-03T19:21:11.250000Z",
                "updatedAt": at,
            },
        },
        {
            "name": "csv",
            "kind": "FILE",
            "enabled": False,
            "pollSeconds": 300,
            "health": "UNKNOWN",
            "consecutiveFailures": 0,
            "listingCount": 0,
            "lastRun": None,
            "nextRunAt": None,
            "checkpoint": None,
        },
    ]


@pytest.mark.parametrize(
    ("status", "failures", "age_seconds", "health"),
    [
        (None, 0, 0, "UNKNOWN"),
        ("running", 0, 0, "UNKNOWN"),
        ("abandoned", 0, 0, "UNKNOWN"),
        ("success", 0, 0, "OK"),
        ("success", 0, 170, "OK"),
        ("success", 0, 190, "DEGRADED"),
        ("partial", 0, 0, "DEGRADED"),
        ("failure", 1, 0, "DEGRADED"),
        ("failure", 2, 0, "DEGRADED"),
        ("failure", 3, 0, "DOWN"),
        ("failure", 30, 190, "DOWN"),
    ],
)
async def test_the_health_of_a_source(
    service: Service, rows: Rows, status: str | None, failures: int, age_seconds: int, health: str
) -> None:
    await rows.source("csv", poll_seconds=60, consecutive_failures=failures)
    at = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=age_seconds)
    if status is not None:
        await rows.run(
            "csv", status, started_at=at, finished_at=None if status == "running" else at
        )
    assert await ask(service, "{ sources { health } }") == {"sources": [{"health": health}]}


async def test_the_figures_of_the_service(service: Service, rows: Rows) -> None:
    query = "{ stats { totalNormalized totalListings lastSuccess { id } lastFailure { id } } }"
    assert await ask(service, query) == {
        "stats": {
            "totalNormalized": 0,
            "totalListings": 0,
            "lastSuccess": None,
            "lastFailure": None,
        }
    }
    await rows.coin("BTC")
    await rows.listing("csv", "btc", "BTC")
    await rows.listing("csv", "eth", "ETH", active=False)
    for index, status in enumerate(("success", "partial", "failure", "abandoned", "running")):
        at = NOW + index * HOUR
        await rows.run(
            "csv", status, started_at=at, finished_at=None if status == "running" else at
        )
    assert await ask(service, query) == {
        "stats": {
            "totalNormalized": 1,
            "totalListings": 2,
            "lastSuccess": {"id": "run_2"},
            "lastFailure": {"id": "run_4"},
        }
    }


TRIGGER = """
mutation ($input: TriggerEtlInput) {
  triggerEtl(input: $input) { request { id status requestedAt sources runs { id status } } }
}
"""
WITH_TOKEN = {"X-Scheduler-Token": TOKEN}


async def test_a_trigger_is_stored_and_told_to_the_ingestors(
    service: Service, rows: Rows, connection: Connection
) -> None:
    await rows.source("csv", priority=2)
    await rows.source("coingecko", priority=1)
    await rows.source("old", enabled=False)
    notifications: list[object] = []
    await connection.add_listener(
        "kasparro_requests", lambda *given: notifications.append(given[3])
    )
    answer = await ask(
        service, TRIGGER, {"input": {"sources": ["csv", "csv"], "full": True}}, WITH_TOKEN
    )
    request = answer["triggerEtl"]["request"]
    assert request["id"] == "request_1"
    assert request["status"] == "PENDING"
    assert request["sources"] == ["csv"]
    assert request["runs"] == []
    # The server's clock is the database's.
    assert (
        abs(
            datetime.datetime.now(datetime.UTC)
            - datetime.datetime.fromisoformat(request["requestedAt"])
        )
        < HOUR
    )
    for_all: list[dict[str, Any]] = [
        {},
        {"input": None},
        {"input": {}},
        {"input": {"sources": None}},
    ]
    for variables in for_all:
        answer = await ask(service, TRIGGER, variables, WITH_TOKEN)
        assert answer["triggerEtl"]["request"]["sources"] == ["coingecko", "csv"]
    # A repeated request before the run has started is the same request.
    stored = await connection.fetch("SELECT sources, full_run FROM etl_requests ORDER BY id")
    assert [tuple(record) for record in stored] == [(["csv"], True), (["coingecko", "csv"], False)]
    assert notifications == ["1", "2", "2", "2", "2"]
    run = await rows.run("csv", request_id=1)
    seen = await ask(
        service, '{ node(id: "request_1") { ... on EtlRequest { runs { id source } } } }'
    )
    assert seen["node"]["runs"] == [{"id": f"run_{run}", "source": "csv"}]


@pytest.mark.parametrize(
    "headers", [{}, {"X-Scheduler-Token": ""}, {"X-Scheduler-Token": TOKEN + "x"}]
)
async def test_a_trigger_without_the_token_is_refused(
    service: Service, rows: Rows, connection: Connection, headers: dict[str, str]
) -> None:
    await rows.source("csv")
    error = await error_of(service, TRIGGER, headers=headers)
    assert error["extensions"] == {"code": "UNAUTHENTICATED"}
    assert error["message"] == "Invalid scheduler token"
    assert await connection.fetchval("SELECT count(*) FROM etl_requests") == 0


async def test_a_trigger_of_an_unknown_source_is_refused(service: Service, rows: Rows) -> None:
    error = await error_of(service, TRIGGER, headers=WITH_TOKEN)
    assert error["extensions"] == {"code": "UNAVAILABLE", "retryAfter": 5}
    await rows.source("csv")
    await rows.source("old", enabled=False)
    for sources in (["nope"], ["csv", "old"], [], ["\0"]):
        error = await error_of(service, TRIGGER, {"input": {"sources": sources}}, WITH_TOKEN)
        assert error["extensions"] == {"code": "BAD_USER_INPUT", "argument": "input.sources"}
