"""What headers mean and what cells say."""

from decimal import Decimal

import pytest

from ingestor.sources.errors import SourceMalformedError
from ingestor.sources.files.columns import check_price_column, columns_of, unique_headers
from ingestor.sources.files.layout import layout_of
from ingestor.sources.files.numbers import CurrencyError, Mark, infer_mark, read_cell
from ingestor.sources.records import RecordError


@pytest.mark.parametrize("symbol", ["symbol", "ticker", "Ticker", " SYMBOL "])
@pytest.mark.parametrize(
    "price",
    [
        "price",
        "price_usd",
        "current_price",
        "Price USD",
        "currentPrice",
        "Price (USD)",
        "usd_price",
        "prices",
        "Close",
    ],
)
def test_the_columns_that_are_needed_have_many_names(symbol: str, price: str) -> None:
    columns = columns_of((symbol, "other", price))
    assert (columns.symbol, columns.price, columns.name, columns.time) == (
        symbol,
        price,
        None,
        None,
    )


@pytest.mark.parametrize(
    ("header", "role"),
    [
        ("mkt_cap", "market_cap"),
        ("market_cap", "market_cap"),
        ("market_cap_usd", "market_cap"),
        ("Market-Cap", "market_cap"),
        ("market_caps", "market_cap"),
        ("vol_24h", "volume"),
        ("volume", "volume"),
        ("volume_24h_usd", "volume"),
        ("24h_volume_usd", "volume"),
        ("Volume (24h)", "volume"),
        ("24h", "change"),
        ("chg_24h", "change"),
        ("change_24h", "change"),
        ("percent_change_24h", "change"),
        ("date", "time"),
        ("timestamp", "time"),
        ("last_updated", "time"),
        *(
            (name, "time")
            for name in (
                "updated_at",
                "last_update",
                "datetime",
                "time",
                "fetched_at",
                "scraped_at",
            )
        ),
        *(
            (name, "time")
            for name in (
                "snapped_at",
                "unix",
                "open_time",
                "close_time",
                "polled_at",
                "sourceUpdatedAt",
            )
        ),
        ("coin", "name"),
        ("coin_id", "id"),
        ("cmc_rank", "rank"),
        ("Market Cap Rank", "rank"),
        ("contract_address", "address"),
        ("circulating_supply", "circulating_supply"),
        ("available_supply", "circulating_supply"),
        ("total_supply", "total_supply"),
        ("max_supply", "max_supply"),
        ("quotes.USD.market_cap", "market_cap"),
    ],
)
def test_every_known_header_has_its_role(header: str, role: str) -> None:
    assert getattr(columns_of(("symbol", "price", header)), role) == header


def test_columns_that_only_look_alike_are_left_alone() -> None:
    headers = (
        "symbol",
        "price",
        "total_vol",
        "7d",
        "1h",
        "decimals",
        "chg_7d",
        "listed_at",
        "ath_date",
        "price_change_24h",
    )
    columns = columns_of(headers)
    assert (columns.volume, columns.change, columns.time) == (None, None, None)


def test_a_name_that_says_usd_goes_before_one_that_does_not() -> None:
    headers = (
        "symbol",
        "price",
        "price_usd",
        "market_cap",
        "market_cap_usd",
        "volume",
        "volume_usd",
    )
    columns = columns_of(headers)
    assert (columns.price, columns.market_cap, columns.volume) == (
        "price_usd",
        "market_cap_usd",
        "volume_usd",
    )


def test_of_two_columns_for_one_thing_the_order_in_the_file_does_not_decide() -> None:
    assert columns_of(("symbol", "current_price", "price", "coin", "name")) == columns_of(
        ("name", "coin", "price", "current_price", "symbol")
    )


def test_a_candles_volume_that_may_count_coins_is_not_read() -> None:
    candle = ("Date", "Open", "High", "Low", "Close", "Volume")
    assert columns_of(candle).volume is None
    assert columns_of((*candle, "Adj Close")).volume == "Volume"
    assert columns_of((*candle, "Market Cap")).volume == "Volume"
    assert columns_of((*candle, "Quote Volume")).volume == "Quote Volume"


def test_an_unknown_layout_names_the_columns_seen_and_those_wanted() -> None:
    headers = ("coin", "usd")
    with pytest.raises(SourceMalformedError) as caught:
        check_price_column(headers, columns_of(headers))
    assert str(caught.value) == (
        "of its columns (2) these are known: name; wanted are at least a symbol (symbol or ticker) "
        "and a price (price, price_usd or current_price)"
    )


@pytest.mark.parametrize(
    "header", ["Price (EUR)", "price_eur", "eur_price", "Price €", "close_btc"]
)
def test_a_price_in_another_currency_is_refused_by_name(header: str) -> None:
    headers = ("symbol", header)
    with pytest.raises(SourceMalformedError, match="prices are read in US dollars only"):
        check_price_column(headers, columns_of(headers))


def test_a_layout_of_a_thousand_columns_is_told_shortly() -> None:
    headers = tuple(f"column {number}" for number in range(1000))
    with pytest.raises(SourceMalformedError) as caught:
        check_price_column(headers, columns_of(headers))
    assert "and 970 more" in (caught.value.private_detail or "")
    assert len(str(caught.value)) + len(caught.value.private_detail or "") < 1000


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
        ("$-1.50", "-1.50"),
        ("(1.50)", "-1.50"),
        ("$ 2", "2"),
        ("2 USD", "2"),
        ("USD 2", "2"),
        ("US$2", "2"),
        ("+3.5", "3.5"),
        ("1.27e-05", "0.0000127"),
        ("1E+3", "1E+3"),
        (".5", "0.5"),
        ("5.", "5"),
        (" 7 ", "7"),
        (
            "0.1234567890123456789012345678901234567890",
            "0.1234567890123456789012345678901234567890",
        ),
        ("$1.26T", "1260000000000"),
        ("4.8K", "4800"),
        ("12.5 million", "12500000"),
        ("1.1bn", "1100000000"),
        ("3 thousand", "3000"),
        (
            "0.1234567890123456789012345678901234567890T",
            "123456789012.3456789012345678901234567890",
        ),
        ("\u22125.5", "-5.5"),
        ("64\u00a0123.45", "64123.45"),
        ("64\u202f123.45", "64123.45"),
        ("1'234.5", "1234.5"),
        ("1\u2019234.5", "1234.5"),
        ("0,412", "0.412"),
        ("64123,45", "64123.45"),
        ("3.120,50", "3120.50"),
        ("1.234.567", "1234567"),
        *(
            (cell, None)
            for cell in ("nan", "+nan", "$nan", "-inf", "N/A", "-", "null", "None", "\u221e", "$")
        ),
        *(
            (cell, None)
            for cell in (
                "#N/A",
                "#DIV/0!",
                "<NA>",
                "\\N",
                "\u2014",
                "\u2013",
                "--",
                "n.a.",
                "?",
                "",
            )
        ),
    ],
)
def test_an_amount_is_read_exactly_however_it_is_dressed(cell: str, number: str | None) -> None:
    found, _ = read_cell(cell.strip(), Mark.POINT, "$.price")
    assert found == (None if number is None else Decimal(number))
    assert found is None or str(found.normalize()) == str(Decimal(number or 0).normalize())


@pytest.mark.parametrize(
    "cell",
    [
        "1,2,3",
        "1_000",
        "abc",
        "1e",
        "e5",
        "1e9999999",
        "\u0663",
        "1.2.3",
        "1,234,5",
        "1 2 3",
        "12 34",
        "--5",
    ],
)
def test_what_is_no_amount_is_refused_with_its_path(cell: str) -> None:
    with pytest.raises(RecordError, match=r"- at `\$\.price`$"):
        read_cell(cell, Mark.POINT, "$.price")


@pytest.mark.parametrize("cell", ["€3", "3 EUR", "0.5 BTC", "£1", "C$5", "₹90,000"])
def test_an_amount_in_another_currency_is_never_taken_for_dollars(cell: str) -> None:
    with pytest.raises(CurrencyError):
        read_cell(cell, Mark.POINT, "$.price")


@pytest.mark.parametrize(
    ("digits", "mark"),
    [
        ("64123,45", Mark.COMMA),
        ("0,412", Mark.COMMA),
        ("3.120,50", Mark.COMMA),
        ("1.234.567", Mark.COMMA),
        ("1,234,567", Mark.POINT),
        ("1,234.5", Mark.POINT),
        ("12.5", Mark.POINT),
        ("1,234", None),
        ("1.234", None),
        ("1234", None),
        ("1,2,3", None),
    ],
)
def test_a_cell_shows_its_decimal_mark_or_does_not(digits: str, mark: Mark | None) -> None:
    assert infer_mark(digits) is mark


@pytest.mark.parametrize(
    ("mark", "cell", "number"),
    [
        (Mark.COMMA, "1,234", "1.234"),
        (Mark.COMMA, "1.234", "1234"),
        (Mark.POINT, "1,234", "1234"),
        (Mark.POINT, "1.234", "1.234"),
        (Mark.MIXED, "1,5", "1.5"),
        (Mark.MIXED, "1.5", "1.5"),
        (Mark.MIXED, "1000", "1000"),
    ],
)
def test_the_columns_mark_decides_what_a_cell_alone_does_not(
    mark: Mark, cell: str, number: str
) -> None:
    assert read_cell(cell, mark, "$")[0] == Decimal(number)


@pytest.mark.parametrize("cell", ["1,234", "1.234"])
def test_a_column_with_both_marks_refuses_what_could_be_either(cell: str) -> None:
    with pytest.raises(RecordError, match="two ways"):
        read_cell(cell, Mark.MIXED, "$")


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
        ("24h %", "0.03", "0.03"),
    ],
)
def test_fractions_and_per_cent_both_become_per_cent(
    header: str, cell: str, per_cent: str | None
) -> None:
    row = {"symbol": "X", "price": "1", header: cell}
    number = layout_of(tuple(row)).optional_number(row, "change", [])
    assert number == (None if per_cent is None else Decimal(per_cent))


def test_a_per_cent_sign_is_no_amount() -> None:
    row = {"symbol": "X", "price": "5%"}
    with pytest.raises(RecordError, match=r"per cent sign .* at `\$\.price`"):
        layout_of(tuple(row)).price(row)
