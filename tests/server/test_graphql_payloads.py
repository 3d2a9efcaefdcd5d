"""The payload of a listing is cut out of the body that said it, with the bytes as they came."""

import pytest

from db.bodies import FRAME_BYTES, BodySlice, content_hash
from db.connect.types import Connection
from db.write.raw.bodies import NewBody, add_body, begin_body, pack_body
from tests.server.conftest import Service
from tests.server.graphql_rows import NOW, Rows, ask

PAYLOADS = "{ listings(first: 10) { nodes { externalId payload } } }"


@pytest.fixture
def rows(connection: Connection) -> Rows:
    return Rows(connection)


async def store(connection: Connection, content: bytes, page: int = 1) -> int:
    """Store a body of which no record is indexed; return its id."""
    async with connection.transaction():
        arrival = await begin_body(connection, "coingecko", b"code")
        body = NewBody(
            source="coingecko", page_group="", page_number=page, fetched_at=NOW, run_id=1,
            form="verbatim", url=None, headers={}, content=pack_body(content),
        )  # fmt: skip
        await add_body(connection, arrival, body, [BodySlice("a", 0, 1)])
    return arrival.id


async def add(rows: Rows, external_id: str, body: int, content: bytes, sent: bytes) -> bytes:
    digest = content_hash(sent)
    place = {"body": body, "body_offset": content.index(sent), "body_length": len(sent)}
    await rows.listing("coingecko", external_id, external_id.upper(), content_hash=digest, **place)
    return digest


async def test_a_payload_has_the_bytes_of_its_body_without_white_space(
    service: Service, rows: Rows, connection: Connection
) -> None:
    await rows.source("coingecko")
    first = b'{"id": "a",\n "z": 1.50, "b": 1e-7, "z": 12345678901234567890}'
    # The second lies in two frames, the third in the last one.
    second = b'{"id": "b", "text": "' + b"x" * 1000 + b'"}'
    third = b'{"id": "c"}'
    gap = b" " * (FRAME_BYTES - len(first) - 500)
    content = b"[" + first + b"," + gap + second + b"," + b" " * FRAME_BYTES + third + b"]"
    body = await store(connection, content)
    for name, sent in (("a", first), ("b", second), ("c", third)):
        await add(rows, name, body, content, sent)
    async with service.client.post("/graphql", json={"query": PAYLOADS}) as response:
        text = await response.text()
    assert '{"id":"a","z":1.50,"b":1e-7,"z":12345678901234567890}' in text
    assert f'"text":"{"x" * 1000}"' in text
    assert '{"id":"c"}' in text


async def test_a_body_that_came_again_gives_the_payload_of_the_first(
    service: Service, rows: Rows, connection: Connection
) -> None:
    await rows.source("coingecko")
    content = b'[{"id": "a", "n": 1}]'
    await store(connection, content)
    body = await store(connection, content)
    await add(rows, "a", body, content, content[1:-1])
    found = await ask(service, PAYLOADS)
    assert found["listings"]["nodes"] == [{"externalId": "a", "payload": {"id": "a", "n": 1}}]


async def test_without_its_body_and_where_it_is_not_json_a_payload_is_the_newest_stored(
    service: Service, rows: Rows, connection: Connection
) -> None:
    await rows.source("coingecko")
    content = b'[{"id": "a", "n": NaN}, {"id": "b"}, {"id": "c"}]'
    body = await store(connection, content)
    digests = {
        "a": await add(rows, "a", body, content, b'{"id": "a", "n": NaN}'),
        "b": await add(rows, "b", body + 1, content, b'{"id": "b"}'),
        "c": await add(rows, "c", body, content, b'{"id": "c"}'),
    }
    for name, digest in digests.items():
        await rows.payload("coingecko", name, digest, f'{{"kept": "{name}"}}')
    found = (await ask(service, PAYLOADS))["listings"]["nodes"]
    assert {one["externalId"]: one["payload"] for one in found} == {
        "a": {"kept": "a"},
        "b": {"kept": "b"},
        "c": {"id": "c"},
    }
