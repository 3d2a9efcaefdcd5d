"""GET /data?include=quality: why a record is believed, beside the record."""

import json
import re
from decimal import Decimal

import pytest

from db.connect.types import Connection
from tests.server.conftest import Service
from tests.server.graphql_rows import Rows
from tests.server.test_rest_openapi import check

PLAIN = {
    "id",
    "ticker",
    "name",
    "price_usd",
    "market_cap_usd",
    "volume_24h_usd",
    "percent_change_24h",
    "source",
    "created_at",
    "ingested_at",
}
EXCLUDED = """[
    {"source": "coingecko", "external_id": "bitcoin", "field": "price_usd",
     "value": 123456789012345678901234567890.50, "reason": "disagrees",
     "observed_at": "2026-02-03T21:21:11+01:00"},
    {"source": "csv", "external_id": "b", "field": "market_cap_usd",
     "value": 0.000000000000000004, "reason": "impossible",
     "observed_at": "2026-02-03T20:21:11.25+00:00"}
]"""


@pytest.fixture
async def market(connection: Connection) -> None:
    rows = Rows(connection)
    await rows.coin(
        "BTC",
        market_cap_usd="3",
        asset="coinpaprika:btc-bitcoin",
        confidence=Decimal("0.875"),
        is_suspect=True,
    )
    await connection.execute(
        "UPDATE normalized_records SET excluded = $1::text::jsonb WHERE ticker = 'BTC'", EXCLUDED
    )
    await rows.coin("ETH")


async def body_of(service: Service, path: str) -> str:
    """Return the body without what is of the request alone."""
    async with service.client.get(path) as response:
        assert response.status == 200
        return re.sub(r'"meta":.*', "", await response.text())


@pytest.mark.usefixtures("market")
async def test_the_quality_stands_behind_the_fields_of_each_record(service: Service) -> None:
    bitcoin, ether = json.loads(
        await body_of(service, "/data?include=quality") + '"meta":{}}', parse_float=Decimal
    )["data"]
    assert list(bitcoin)[-4:] == ["confidence", "is_suspect", "excluded", "asset"]
    assert set(bitcoin) == PLAIN | {"confidence", "is_suspect", "excluded", "asset"}
    assert bitcoin["confidence"] == Decimal("0.875")
    assert bitcoin["is_suspect"] is True
    assert bitcoin["asset"] == "coinpaprika:btc-bitcoin"
    assert bitcoin["excluded"] == [
        {
            "source": "coingecko",
            "external_id": "bitcoin",
            "field": "price_usd",
            "value": Decimal("123456789012345678901234567890.50"),
            "reason": "disagrees",
            "observed_at": "2026-02-03T20:21:11.000000Z",
        },
        {
            "source": "csv",
            "external_id": "b",
            "field": "market_cap_usd",
            "value": Decimal("0.000000000000000004"),
            "reason": "impossible",
            "observed_at": "2026-02-03T20:21:11.250000Z",
        },
    ]
    # Before the first merge after an upgrade.
    assert (ether["confidence"], ether["is_suspect"], ether["excluded"], ether["asset"]) == (
        None,
        False,
        [],
        None,
    )


@pytest.mark.usefixtures("market")
async def test_without_it_the_bytes_are_those_of_before(service: Service) -> None:
    plain = await body_of(service, "/data")
    assert plain == (
        '{"data":[{"id":"merged_btc","ticker":"BTC","name":"Btc","price_usd":1.50000000,'
        '"market_cap_usd":3,"volume_24h_usd":null,"percent_change_24h":null,'
        '"source":"coinpaprika","created_at":"2026-02-03T20:21:11.250000Z",'
        '"ingested_at":"2026-02-03T20:21:12.250000Z"},{"id":"merged_eth","ticker":"ETH",'
        '"name":"Eth","price_usd":1.50000000,"market_cap_usd":null,"volume_24h_usd":null,'
        '"percent_change_24h":null,"source":"coinpaprika",'
        '"created_at":"2026-02-03T20:21:11.250000Z","ingested_at":"2026-02-03T20:21:12.250000Z"}],'
        '"pagination":{"limit":50,"offset":0,"returned":2,"total":2},'
    )
    assert await body_of(service, "/data?include=") == plain
    with_quality = await body_of(service, "/data?include=quality")
    added = re.compile(r',"confidence":[^{]*?"excluded":\[.*?\],"asset":[^}]*')
    assert added.sub("", with_quality) == plain


@pytest.mark.usefixtures("market")
async def test_pages_and_filters_go_with_it(service: Service) -> None:
    first = await service.get("/data?include=quality&limit=1&cursor=")
    assert [record["ticker"] for record in first["data"]] == ["BTC"]
    cursor = first["pagination"]["next_cursor"]
    second = await service.get(f"/data?include=quality&limit=1&cursor={cursor}")
    assert [record["ticker"] for record in second["data"]] == ["ETH"]
    assert (await service.get("/data?include=quality&ticker=nope"))["data"] == []


@pytest.mark.parametrize(
    ("query", "kind", "message"),
    [
        ("include=everything", "literal_error", "Input should be 'quality'"),
        ("include=Quality", "literal_error", "Input should be 'quality'"),
        (
            "include=quality&format=csv",
            "value_error",
            "Value error, only a page in JSON has a quality",
        ),
    ],
)
async def test_another_value_is_refused(
    service: Service, query: str, kind: str, message: str
) -> None:
    (problem,) = (await service.get(f"/data?{query}", 422))["detail"]
    assert problem == {"loc": ["query", "include"], "msg": message, "type": kind}


@pytest.mark.usefixtures("market")
async def test_the_answer_is_what_the_document_says(service: Service) -> None:
    document = await service.get("/openapi.json")
    for path in ("/data?include=quality", "/data?include=nothing"):
        async with service.client.get(path) as response:
            check(document, "get", "/data", response.status, await response.json())
