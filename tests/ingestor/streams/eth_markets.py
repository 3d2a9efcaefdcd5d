"""The recorded markets with base ETH of one minute, as the consensus reads them."""

from datetime import UTC, datetime
from decimal import Decimal

from ingestor.streams.contributions import MarketPrice
from tests.conftest import RECORDED
from tests.ingestor.streams.recorded import STREAMS, read_gzip_json

ETH = "eth-ethereum"
NOW_NS = int(datetime(2021, 8, 12, 19, 7, tzinfo=UTC).timestamp()) * 10**9


def recorded_rows() -> list[dict[str, object]]:
    rows: list[dict[str, object]] = read_gzip_json(
        STREAMS / "markets" / "eth-markets-half-2021-08-12T1907.json.gz"
    )
    return rows


def eth_markets() -> list[MarketPrice]:
    """Return the spot markets whose base is ETH; the provider has converted their prices to USD."""
    return [
        market_of(row)
        for row in recorded_rows()
        if row["base_currency_id"] == ETH and row["category"] == "Spot"
    ]


def market_of(row: dict[str, object]) -> MarketPrice:
    quotes = row["quotes"]
    assert isinstance(quotes, dict)
    observed = datetime.fromisoformat(str(row["last_updated"]))
    return MarketPrice(
        str(row["exchange_id"]),
        str(row["pair"]),
        str(row["base_currency_id"]),
        "USD",
        Decimal(str(quotes["USD"]["price"])),
        int(observed.timestamp()) * 10**9,
        volume_24h_quote=Decimal(str(quotes["USD"]["volume_24h"] or 0)),
    )


def provider_price() -> Decimal:
    tickers = read_gzip_json(RECORDED / "coinpaprika-tickers-2021-08-12T1906.json.gz")
    return next(Decimal(str(row["quotes"]["USD"]["price"])) for row in tickers if row["id"] == ETH)
