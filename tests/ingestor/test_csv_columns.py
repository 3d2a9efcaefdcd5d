"""What headers mean and what cells say."""

from decimal import Decimal

import pytest

from ingestor.errors import SourceMalformedError
from ingestor.records import RecordError
from ingestor.sources.csv_columns import columns_of, read_number, read_percent, unique_headers


@pytest.mark.parametrize("symbol", ["symbol", "ticker", "Ticker", " SYMBOL "])
@pytest.mark.parametrize("price", ["price", "price_usd", "current_price", "Price USD", "currentPrice"])
def test_the_columns_that_are_needed_have_many_names(symbol: str, price: str) -> None:
    columns = columns_of((symbol, "other", price))
    assert (columns.symbol, columns.price, columns.name, columns.time) == (symbol, price, None, None)


@pytest.mark.parametrize(
    ("header", "role"),
    [
        ("mkt_cap", "market_cap"),
        ("market_cap", "market_cap"),
        ("market_cap_usd", "market_cap"),
        ("vol_24h", "volume"),
        ("volume", "volume"),
        ("volume_24h_usd", "volume"),
        ("24h", "fraction"),
        ("chg_24h", "percent"),
        ("percent_change_24h", "percent"),
        ("date", "time"),
        ("timestamp", "time"),
        ("last_updated", "time"),
        ("coin", "name"),
        ("coin_id", "id"),
        ("cmc_rank", "rank"),
        ("Market Cap Rank", "rank"),
        ("contract_address", "address"),
        ("circulating_supply", "circulating_supply"),
        ("total_supply", "total_supply"),
        ("max_supply", "max_supply"),
    ],
)
def test_every_known_header_has_its_role(header: str, role: str) -> None:
    assert getattr(columns_of(("symbol", "price", header)), role) == header


def test_columns_that_only_look_alike_are_left_alone() -> None:
    columns = columns_of(("symbol", "price", "total_vol", "7d", "1h", "decimals", "chg_7d"))
    assert (columns.volume, columns.fraction, columns.percent) == (None, None, None)


def test_of_two_columns_for_one_thing_the_order_in_the_file_does_not_decide() -> None:
    assert columns_of(("symbol", "current_price", "price", "coin", "name")) == columns_of(
        ("name", "coin", "price", "current_price", "symbol")
    )


def test_an_unknown_layout_names_the_columns_known_and_those_wanted() -> None:
    with pytest.raises(SourceMalformedError) as caught:
        columns_of(("coin", "usd"))
    assert str(caught.value) == (
        "of its columns (2) these are known: name; wanted are at least a symbol (symbol or ticker) "
        "and a price (price, price_usd or current_price)"
    )


def test_a_layout_of_a_thousand_columns_is_told_shortly() -> None:
    with pytest.raises(SourceMalformedError, match=r"of its columns \(1000\) these are known: none") as caught:
        columns_of(tuple(f"column {number}" for number in range(1000)))
    assert len(str(caught.value)) < 1000


def test_headers_of_one_name_keep_their_cells_apart() -> None:
    assert unique_headers(["\ufeffa", " b", "a", "", "a", "a (2)", ""]) == (
        "a", "b", "a (2)", "", "a (3)", "a (2) (2)", " (2)",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("cell", "number"),
    [
        ("21318.0", "21318.0"),
        ("1", "1"),
        ("$1,968.92", "1968.92"),
        ("$1,809,123,775", "1809123775"),
        ("1,23,45,678.5", "12345678.5"),
        ("-$1.50", "-1.50"),
        ("$ 2", "2"),
        ("+3.5", "3.5"),
        ("1.27e-05", "0.0000127"),
        ("1E+3", "1E+3"),
        (".5", "0.5"),
        ("5.", "5"),
        (" 7 ", "7"),
        ("0.1234567890123456789012345", "0.1234567890123456789012345"),
        ("", None),
        ("  ", None),
        ("nan", None),
        ("+nan", None),
        ("$nan", None),
        ("-inf", None),
        ("N/A", None),
        ("-", None),
        ("null", None),
        ("None", None),
        ("∞", None),
        ("$", None),
    ],
)
def test_an_amount_is_read_exactly_however_it_is_dressed(cell: str, number: str | None) -> None:
    assert read_number({"price": cell}, "price") == (None if number is None else Decimal(number))


@pytest.mark.parametrize(
    "cell", ["1.968,92", "0,5", "1,2,3", "12,34", "1 000", "1_000", "abc", "1e", "e5", "1e9999999", "٣", "5%", "1.2B"]
)
def test_what_is_no_amount_is_refused_with_its_path(cell: str) -> None:
    with pytest.raises(RecordError, match=r"- at `\$\.price`$"):
        read_number({"price": cell}, "price")


def test_a_column_that_is_not_there_is_missing() -> None:
    assert read_number({"price": "1"}, None) is None


@pytest.mark.parametrize(
    ("header", "cell", "per_cent"),
    [
        ("24h", "0.03", "3"),
        ("24h", "-0.001", "-0.1"),
        ("24h", "0.03%", "0.03"),
        ("24h", "", None),
        ("chg_24h", "+0.45%", "0.45"),
        ("chg_24h", "-1.5", "-1.5"),
        ("chg_24h", "+nan%", None),
        ("percent_change_24h", "0.03", "0.03"),
    ],
)
def test_fractions_and_per_cent_both_become_per_cent(header: str, cell: str, per_cent: str | None) -> None:
    row = {"symbol": "X", "price": "1", header: cell}
    assert read_percent(row, columns_of(tuple(row))) == (None if per_cent is None else Decimal(per_cent))
