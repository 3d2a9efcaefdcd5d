"""Live markets in GraphQL: the consensus of a coin, its markets, and the state of streams."""

import datetime
from decimal import Decimal

import pytest

from db.connect.types import Connection
from db.read.history.candles import CandleSpan, candles_of
from db.streams.consensus import ConsensusRow, write_consensus
from db.streams.gaps import StreamGap, add_gaps
from db.streams.markets import (
    ListedMarket,
    MappedMarket,
    MarketUpdate,
    map_markets,
    save_markets,
    write_markets,
)
from db.streams.states import StreamStateRow, save_states
from tests.server.conftest import Service
from tests.server.graphql_rows import NOW, Rows, ask

KEY = "coinpaprika:btc-bitcoin"
CONTRIBUTIONS = (
    '[{"venue":"okx","symbol":"BTC-USDT","price_usd":"640000","weight":0.0,'
    '"deviation_percent":899.8,"used":false,"reason":"DEVIATES"},'
    '{"venue":"kraken","symbol":"BTC/USD","price_usd":"64010.5","weight":1.0,'
    '"deviation_percent":0.0,"used":true,"reason":null}]'
)
CONSENSUS = """{ consensus {
    price confidence volume24hUsd venues observedAt
    contributions { venue symbol price weight deviationPercent used reason }
} markets {
    venue symbol base quote assetReason price priceUsd volume24hBase volume24hQuote
    status isTrading segment frame
} }"""
EXPECTED = {
    "consensus": {
        "price": "64010.5",
        "confidence": "1.25",
        "volume24hUsd": "1000",
        "venues": 2,
        "observedAt": "2026-02-03T20:21:11.250000Z",
        "contributions": [
            {
                "venue": "kraken",
                "symbol": "BTC/USD",
                "price": "64010.5",
                "weight": 1.0,
                "deviationPercent": 0.0,
                "used": True,
                "reason": None,
            },
            {
                "venue": "okx",
                "symbol": "BTC-USDT",
                "price": "640000",
                "weight": 0.0,
                "deviationPercent": 899.8,
                "used": False,
                "reason": "DEVIATES",
            },
        ],
    },
    "markets": [
        {
            "venue": "kraken",
            "symbol": "BTC/USD",
            "base": "BTC",
            "quote": "USD",
            "assetReason": "OWNER",
            "price": "64010.50",
            "priceUsd": "64010.50",
            "volume24hBase": "12",
            "volume24hQuote": None,
            "status": "online",
            "isTrading": True,
            "segment": "1790000000000000000",
            "frame": 3,
        }
    ],
}


@pytest.fixture
async def markets(connection: Connection) -> Rows:
    rows = Rows(connection)
    await rows.source("coinpaprika")
    await rows.listing("coinpaprika", "btc-bitcoin", "BTC", name="Bitcoin", market_cap_usd="9")
    await rows.coin("BTC", market_cap_usd="9", asset=KEY)
    await rows.coin("OLD", market_cap_usd="1")
    listed = [
        ListedMarket("BTC/USD", "BTC", "USD", "online", is_trading=True),
        ListedMarket("HOT/USD", "HOT", "USD", "online", is_trading=True),
    ]
    await save_markets(connection, "kraken", listed, NOW)
    price, volume = Decimal("64010.50"), Decimal(12)
    update = MarketUpdate(
        *("kraken", "BTC/USD", price, NOW, price),
        volume_24h_base=volume,
        segment=1_790_000_000_000_000_000,
        frame=3,
    )
    await write_markets(connection, [update])
    await map_markets(connection, [MappedMarket("kraken", "BTC/USD", KEY, "owner")])
    consensus = ConsensusRow(
        KEY, Decimal("64010.5"), Decimal("1.25"), Decimal(1000), 2, NOW, CONTRIBUTIONS
    )
    await write_consensus(connection, [consensus], NOW)
    return rows


async def test_a_coin_and_its_asset_show_their_markets_and_their_consensus(
    service: Service, markets: Rows
) -> None:
    del markets
    query = f'{{ coin(ticker: "BTC") {CONSENSUS} asset(id: "{KEY}") {CONSENSUS} }}'
    assert await ask(service, query) == {"coin": EXPECTED, "asset": EXPECTED}
    nothing = await ask(service, f'{{ coin(ticker: "OLD") {CONSENSUS} }}')
    assert nothing["coin"] == {"consensus": None, "markets": []}


async def test_a_consensus_that_changes_without_an_event_is_not_cached(
    service: Service, markets: Rows, connection: Connection
) -> None:
    del markets
    query = '{ coin(ticker: "BTC") { consensus { price venues } } }'
    assert (await ask(service, query))["coin"]["consensus"]["venues"] == 2
    silent = ConsensusRow(KEY, None, None, Decimal(0), 1, None, CONTRIBUTIONS)
    await write_consensus(connection, [silent], NOW)
    assert (await ask(service, query))["coin"]["consensus"] == {"price": None, "venues": 1}


async def test_a_source_that_is_a_stream_shows_its_state(
    service: Service, connection: Connection
) -> None:
    await connection.executemany(
        "INSERT INTO sources (name, kind, enabled, priority, poll_seconds)"
        " VALUES ($1, 'stream', true, 1000, 100)",
        [("binance",), ("kraken",), ("okx",), ("bybit",)],
    )
    now = datetime.datetime.now(datetime.UTC)
    down = StreamStateRow("binance", "down", "it answered 451", None, 0, 0.0, 7, 1)
    live = StreamStateRow("kraken", "live", None, now, 40, 8.0, 0, 0)
    await save_states(connection, [down, live], now, now)
    an_hour = datetime.timedelta(hours=1)
    await save_states(
        connection,
        [StreamStateRow("okx", "live", None, now - an_hour, 40, 8.0, 0, 0)],
        *(now - an_hour, now - an_hour),
    )
    query = """{ sources { name kind health stream {
        state problem messages messagesPerSecond reconnects gaps } } }"""
    sources = {row.pop("name"): row for row in (await ask(service, query))["sources"]}
    assert {row["kind"] for row in sources.values()} == {"STREAM"}
    assert {name: row["health"] for name, row in sources.items()} == {
        "binance": "DOWN",
        "kraken": "OK",
        "okx": "DOWN",
        "bybit": "UNKNOWN",
    }
    assert sources["bybit"]["stream"] is None
    assert sources["okx"]["stream"]["problem"] == "no ingestor follows it"
    assert sources["binance"]["stream"] == {
        "state": "DOWN",
        "problem": "it answered 451",
        "messages": 0,
        "messagesPerSecond": 0.0,
        "reconnects": 7,
        "gaps": 1,
    }
    async with service.client.get("/health/ready") as response:
        ready = await response.json()
    assert ready["problems"] == [
        "the stream of binance delivers nothing: it answered 451",
        "the stream of okx delivers nothing: no ingestor follows it",
    ]


async def test_markets_are_paged_and_filtered(service: Service, markets: Rows) -> None:
    del markets
    query = """query($filter: MarketFilter) { markets(filter: $filter, first: 5) {
        totalCount edges { node { venue symbol assetReason price } } } }"""

    async def symbols(**conditions: object) -> list[str]:
        found = (await ask(service, query, {"filter": conditions}))["markets"]
        assert found["totalCount"] == len(found["edges"])
        return [edge["node"]["symbol"] for edge in found["edges"]]

    assert await symbols() == ["BTC/USD", "HOT/USD"]
    assert await symbols(isMapped=False) == ["HOT/USD"]
    assert await symbols(asset={"eq": KEY}, venue={"eq": "kraken"}) == ["BTC/USD"]
    assert await symbols(base={"in": ["HOT", "ETH"]}, quote={"eq": "USD"}) == ["HOT/USD"]
    assert await symbols(isTrading=False) == []


async def test_gaps_are_listed_those_of_all_markets_with_each(
    service: Service, connection: Connection
) -> None:
    minute = datetime.timedelta(minutes=1)
    gaps = [
        StreamGap("kraken", None, NOW, NOW + minute, "reconnect"),
        StreamGap("kraken", "BTC/USD", NOW + 2 * minute, NOW + 3 * minute, "sequence"),
        StreamGap("kraken", "ETH/USD", NOW + 2 * minute, NOW + 3 * minute, "planned_cut"),
        StreamGap("okx", None, NOW, NOW, "silence"),
    ]
    await add_gaps(connection, gaps, NOW + 4 * minute)
    query = """query($filter: StreamGapFilter) { streamGaps(filter: $filter, first: 5) {
        edges { node { source symbol beganAt endedAt reason noticedAt } } } }"""

    async def reasons(**conditions: object) -> list[str]:
        found = (await ask(service, query, {"filter": conditions}))["streamGaps"]["edges"]
        return [edge["node"]["reason"] for edge in found]

    assert await reasons() == ["SILENCE", "PLANNED_CUT", "SEQUENCE", "RECONNECT"]
    of_market = {"source": {"eq": "kraken"}, "symbol": {"eq": "BTC/USD"}}
    assert await reasons(**of_market) == ["SEQUENCE", "RECONNECT"]
    later = (NOW + 2 * minute).isoformat()
    assert await reasons(**{"from": later}, **of_market) == ["SEQUENCE"]
    assert await reasons(to=NOW.isoformat()) == ["SILENCE", "RECONNECT"]


async def test_a_candle_that_touches_a_gap_of_its_markets_is_not_complete(
    service: Service, markets: Rows, connection: Connection
) -> None:
    now = datetime.datetime.now(datetime.UTC).replace(minute=0, second=0, microsecond=0)
    start = now - datetime.timedelta(hours=3)
    await markets.source("markets")
    await markets.listing("markets", KEY, "BTC", name="Bitcoin", asset=KEY)
    await connection.executemany(
        "INSERT INTO candles (listing, interval, start, open, high, low, close, open_at, close_at,"
        " samples) SELECT id, 'H1', $1, 1, 1, 1, 1, $1, $1, 1 FROM listings WHERE source = $2",
        [
            (start + datetime.timedelta(hours=hour), source)
            for hour, source in ((0, "markets"), (1, "markets"), (2, "coinpaprika"))
        ],
    )
    minute = datetime.timedelta(minutes=1)
    gaps = [
        StreamGap("kraken", "BTC/USD", start + 61 * minute, start + 62 * minute, "sequence"),
        StreamGap("kraken", "HOT/USD", start + minute, start + minute, "sequence"),
        StreamGap("okx", None, start, start + minute, "reconnect"),
    ]
    await add_gaps(connection, gaps, now)
    candles = "candles(interval: H1, from: $from) { start source samples complete }"
    query = f"""query($from: DateTime!) {{ coin(ticker: "BTC") {{ {candles} }}
        listing(source: "markets", externalId: "{KEY}") {{ {candles} }} }}"""
    found = await ask(service, query, {"from": start.isoformat()})
    said = [(row["source"], row["complete"]) for row in found["coin"]["candles"]]
    assert said == [("markets", True), ("markets", False), ("coinpaprika", None)]
    assert [row["complete"] for row in found["listing"]["candles"]] == [True, False]
    async with connection.transaction():
        for owner, key in (("coin", "BTC"), ("listing", f"markets:{KEY}")):
            span = CandleSpan("H1", start, now)
            rows = (await candles_of(connection, [key], span, owner))[key]  # type: ignore[arg-type]
            assert [row.complete for row in rows][:2] == [True, False]
