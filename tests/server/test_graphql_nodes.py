"""Every object with an id can be read by it."""

import pytest

from db.connect.types import Connection
from tests.server.conftest import TOKEN, Service
from tests.server.graphql_rows import Rows, ask, ask_all, error_of

NODE = "query ($id: ID!) { node(id: $id) { __typename id } }"


@pytest.fixture
def rows(connection: Connection) -> Rows:
    return Rows(connection)


async def test_every_kind_of_node_is_found_by_the_id_that_it_shows(
    service: Service, rows: Rows
) -> None:
    await rows.source("csv", kind="file")
    await rows.coin("USDC.E")
    # An external id may have any characters, also the separator of ids.
    await rows.listing("csv", "usd_coin:e/1", "USDC.E")
    await rows.run("csv")
    shown = await ask(
        service,
        "mutation { triggerEtl { request { id } } }",
        headers={"X-Scheduler-Token": TOKEN},
    )
    request = shown["triggerEtl"]["request"]["id"]
    seen = await ask(
        service, '{ coin(ticker: "usdc.e") { id listings { id } } runs { nodes { id } } }'
    )
    ids = {
        "Coin": seen["coin"]["id"],
        "Listing": seen["coin"]["listings"][0]["id"],
        "Run": seen["runs"]["nodes"][0]["id"],
        "EtlRequest": request,
    }
    assert ids == {
        "Coin": "merged_usdc.e",
        "Listing": "listing_csv_usd_coin:e/1",
        "Run": "run_1",
        "EtlRequest": "request_1",
    }
    for name, node_id in ids.items():
        assert await ask(service, NODE, {"id": node_id}) == {
            "node": {"__typename": name, "id": node_id}
        }
    twice = [*ids.values(), *ids.values()]
    nodes = await ask(service, "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }", {"ids": twice})
    assert [node["id"] for node in nodes["nodes"]] == twice


UNKNOWN = [
    "merged_nope",
    "merged_BTC",
    "run_7",
    "run_9223372036854775808",
    "run_0",
    "request_7",
    "listing_csv_nope",
    "listing_none_x",
]
MALFORMED = [
    "",
    "x",
    "run_",
    "run_x",
    "run_1x",
    "run_-1",
    "run_\u0661",
    "listing_csv",
    "listing__x",
    "LISTING_a_b",
    "coin_btc",
    "_",
    "\0",
    "merged_\0",
]


async def test_an_unknown_id_is_null_and_a_malformed_one_is_refused(service: Service) -> None:
    for node_id in UNKNOWN:
        assert await ask(service, NODE, {"id": node_id}) == {"node": None}, node_id
    for node_id in MALFORMED:
        error = await error_of(service, NODE, {"id": node_id})
        assert error["extensions"] == {"code": "BAD_USER_INPUT", "argument": "id"}, node_id


async def test_nodes_answers_each_id_in_its_place(service: Service, rows: Rows) -> None:
    await rows.coin("BTC")
    answer = await ask_all(
        service, '{ nodes(ids: ["merged_btc", "nonsense", "run_5", "merged_btc"]) { id } }'
    )
    assert answer["data"] == {"nodes": [{"id": "merged_btc"}, None, None, {"id": "merged_btc"}]}
    (error,) = answer["errors"]
    assert error["path"] == ["nodes", 1]
    assert error["extensions"] == {"code": "BAD_USER_INPUT", "argument": "ids"}


async def test_an_id_whose_small_letters_lead_to_another_ticker_is_found(
    service: Service, connection: Connection, rows: Rows
) -> None:
    """Lower-casing some capitals is not reversible: two of these tickers have one id."""
    for ticker in ("\u1e9e", "\u00df", "A\u1e9e", "Ss"):
        await rows.coin(ticker)
    ids = [
        row["id"]
        for row in await connection.fetch("SELECT id FROM normalized_records ORDER BY ticker")
    ]
    assert len(ids) == 4
    answer = await ask(
        service,
        "query ($ids: [ID!]!) { nodes(ids: $ids) { id ... on Coin { ticker } } }",
        {"ids": ids},
    )
    assert [node["id"] for node in answer["nodes"]] == ids
    assert {node["ticker"] for node in answer["nodes"]} >= {"A\u1e9e", "Ss"}
    assert await ask(service, NODE, {"id": "merged_ss"}) == {
        "node": {"__typename": "Coin", "id": "merged_ss"}
    }


async def test_nodes_takes_only_so_many_ids(service: Service) -> None:
    error = await error_of(
        service, "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }", {"ids": ["run_1"] * 251}
    )
    assert error["extensions"] == {"code": "BAD_USER_INPUT", "argument": "ids"}


async def test_a_run_by_its_id(service: Service, rows: Rows) -> None:
    note = {"about": "time", "text": "Rows are dated by the file", "count": 3}
    number = await rows.run(
        "csv",
        "running",
        processed=3,
        changed=2,
        failed=1,
        pages=1,
        notes=[note],
        note_count=note["count"],
    )
    query = """
    query ($id: ID!) {
      run(id: $id) {
        source status startedAt finishedAt durationMs processed failed changed unchanged pages
          message noteCount notes { about text count }
      }
    }
    """
    assert await ask(service, query, {"id": f"run_{number}"}) == {
        "run": {
            "source": "csv",
            "status": "RUNNING",
            "startedAt": "2026-02-03T20:21:11.250000Z",
            "finishedAt": None,
            "durationMs": None,
            "processed": 3,
            "failed": 1,
            "changed": 2,
            "unchanged": 0,
            "pages": 1,
            "message": None,
            "noteCount": 3,
            "notes": [note],
        }
    }
    assert await ask(service, query, {"id": "run_99"}) == {"run": None}
    error = await error_of(service, query, {"id": "merged_btc"})
    assert error["extensions"] == {"code": "BAD_USER_INPUT", "argument": "id"}


async def test_the_interface_gives_the_fields_of_each_type(service: Service, rows: Rows) -> None:
    await rows.coin("BTC")
    number = await rows.run("csv", "failure", message="gone")
    answer = await ask(
        service,
        """query ($ids: [ID!]!) {
          nodes(ids: $ids) { __typename ... on Coin { ticker } ... on Run { status durationMs
            message } }
        }""",
        {"ids": ["merged_btc", f"run_{number}"]},
    )
    assert answer["nodes"] == [
        {"__typename": "Coin", "ticker": "BTC"},
        {"__typename": "Run", "status": "FAILURE", "durationMs": 1500, "message": "gone"},
    ]
