"""Which asset a market trades: by price, not by ticker alone."""

import collections
from decimal import Decimal
from typing import Any

import pytest

from ingestor.streams.asset_choice import AssetCandidate, choose_asset
from tests.conftest import RECORDED
from tests.ingestor.streams.recorded import STREAMS, needs_recordings, read_gzip_json

HOT = [
    AssetCandidate("holo", Decimal("0.0030"), is_owner=True),
    AssetCandidate("hydro", Decimal("0.0100")),
    AssetCandidate("hot-cross", None),
]


@pytest.mark.parametrize(
    ("price", "asset", "reason"),
    [
        ("0.00309", "holo", "owner"),
        ("0.003091", None, "no_agreement"),
        ("0.00291", "holo", "owner"),
        ("0.0101", "hydro", "rival"),
        ("0.005", None, "no_agreement"),
    ],
)
def test_the_owner_or_else_the_rival_that_agrees_within_three_percent(
    price: str, asset: str | None, reason: str
) -> None:
    choice = choose_asset(Decimal(price), HOT)
    assert (choice.asset, choice.reason) == (asset, reason)


def test_a_label_wins_over_every_price() -> None:
    choice = choose_asset(Decimal("0.0030"), HOT, label="hydro")
    assert (choice.asset, choice.reason) == ("hydro", "label")


def test_what_cannot_be_decided_is_not_mapped() -> None:
    assert choose_asset(None, HOT).reason == "no_price"
    assert choose_asset(Decimal(1), []).reason == "no_candidate"
    assert choose_asset(Decimal(1), [AssetCandidate("a", None, is_owner=True)]).reason == "no_price"
    twins = [AssetCandidate("a", Decimal(5), is_owner=True)]
    twins += [AssetCandidate(name, Decimal(1)) for name in ("b", "c")]
    choice = choose_asset(Decimal(1), twins)
    assert (choice.asset, choice.reason) == (None, "ambiguous")


def test_the_owner_wins_where_a_rival_agrees_too() -> None:
    both = [
        AssetCandidate("rival", Decimal("1.00")),
        AssetCandidate("owner", Decimal("1.01"), is_owner=True),
    ]
    assert choose_asset(Decimal("1.00"), both).asset == "owner"


def recorded_candidates() -> dict[str, list[AssetCandidate]]:
    """Return the coins of each recorded ticker; the one with the best rank counts as the owner."""
    rows: list[dict[str, Any]] = read_gzip_json(
        RECORDED / "coinpaprika-tickers-2021-08-12T1906.json.gz"
    )
    found = collections.defaultdict[str, list[AssetCandidate]](list)
    for row in sorted(rows, key=lambda row: row["rank"] or 10**9):
        ticker = row["symbol"].upper()
        price = Decimal(str(row["quotes"]["USD"]["price"])) or None
        found[ticker].append(AssetCandidate(row["id"], price, is_owner=not found[ticker]))
    return found


@needs_recordings
def test_no_recorded_market_of_binance_gets_a_wrong_asset() -> None:
    candidates = recorded_candidates()
    counts = collections.Counter[str]()
    path = STREAMS / "markets" / "binance-markets-half-2021-08-12T1907.json.gz"
    for row in read_gzip_json(path):
        ticker = row["pair"].partition("/")[0].upper()
        price = Decimal(str(row["quotes"]["USD"]["price"])) or None
        owner = next((c.asset for c in candidates[ticker] if c.is_owner), None)
        truth = row["base_currency_id"]
        choice = choose_asset(price, candidates[ticker])
        counts["ticker alone is wrong"] += owner is not None and owner != truth
        counts["wrong"] += choice.asset not in (None, truth)
        counts["right"] += choice.asset == truth
    assert counts["wrong"] == 0
    assert counts["ticker alone is wrong"] == 4
    assert counts["right"] >= 400


@needs_recordings
def test_a_market_at_a_rivals_price_is_the_rivals() -> None:
    """Each recorded coin that shares its ticker, traded one percent above its own price."""
    counts = collections.Counter[str]()
    for shared in recorded_candidates().values():
        for coin in shared if len(shared) > 1 else []:
            if coin.price_usd is None:
                continue
            price = coin.price_usd * Decimal("1.01")
            near = [
                c.asset
                for c in shared
                if c.price_usd and abs(price - c.price_usd) <= c.price_usd * Decimal("0.03")
            ]
            choice = choose_asset(price, shared)
            counts["found"] += choice.asset == coin.asset
            if len(near) == 1:
                assert choice.asset == coin.asset
            counts["all"] += 1
    assert counts["all"] > 100
    assert counts["found"] / counts["all"] > 0.95
