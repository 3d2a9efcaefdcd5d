# ruff: noqa: E501 - a line of a file is a line here
"""Small files as people and programs write them, each with what it says: every number here was put there by hand."""

import bz2
import gzip
import io
import zipfile
from dataclasses import dataclass, field

from tests.ingestor.files.zstd import compress


@dataclass(frozen=True)
class Case:
    """A file and what comes out of it.

    `rows` are, by ticker, the fields that must be so: price, cap, volume, change, time, name.
    `notes` and `rejected` are texts of which each must stand in one note, or one rejection; there
    must be no more rejections than these. `failure` is a text of the run's message where nothing
    can be read.
    """

    title: str
    name: str
    content: bytes
    rows: dict[str, dict[str, str | None]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    rejected: tuple[str, ...] = ()
    failure: str | None = None
    mapping: str | None = None


def text(*lines: str, end: str = "\n") -> bytes:
    return (end.join(lines) + end).encode()


def zipped(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return buffer.getvalue()


PLAIN = text(
    "symbol,name,price_usd,updated_at",
    "BTC,Bitcoin,64123.45,2026-01-31T10:00:00Z",
    "ETH,Ethereum,3120.5,2026-01-31T10:00:00Z",
)
PLAIN_ROWS: dict[str, dict[str, str | None]] = {
    "BTC": {"price": "64123.45", "time": "2026-01-31T10:00:00+00:00", "name": "Bitcoin"},
    "ETH": {"price": "3120.5", "time": "2026-01-31T10:00:00+00:00", "name": "Ethereum"},
}
KLINE = "1767225600000,87648.21,88919.45,87508.05,88839.04,6279.57,1767311999999,554000000.12,1200000,3000.1,260000000.5,0"

TIMES = [
    Case(
        "a time under an unusual name",
        "a.csv",
        text("symbol,name,price_usd,source_updated_at", "BTC,Bitcoin,1,2025-01-31 10:00:00 UTC"),
        {"BTC": {"price": "1", "time": "2025-01-31T10:00:00+00:00"}},
    ),
    Case(
        "a time known by its cells alone",
        "a.csv",
        text("symbol,price,stand", "BTC,1,31.01.2026 10:00", "ETH,2,01.02.2026 11:00"),
        {"BTC": {"time": "2026-01-31T10:00:00+00:00"}, "ETH": {"time": "2026-02-01T11:00:00+00:00"}},
    ),
    Case(
        "dates of a coin's life are no time of its price",
        "a-2026-01-05.csv",
        text("symbol,price,launched_at,ath_date", "BTC,1,2009-01-03,2025-10-06"),
        {"BTC": {"time": "2026-01-05T00:00:00+00:00"}},
        notes=("rows are dated by the file", "launched_at, ath_date"),
    ),
    *(
        Case(
            f"a time written {cell}",
            "a.csv",
            text("symbol,price,timestamp", f'BTC,1,"{cell}"'),
            {"BTC": {"time": "2026-01-31T10:00:00+00:00"}},
        )
        for cell in (
            "1769853600", "1769853600000", "1769853600000000", "1769853600000000000", "2026-01-31T10:00:00+0000",
            "Sat, 31 Jan 2026 10:00:00 GMT", "Jan 31, 2026 10:00 AM", "31 January 2026 10:00", "2026/01/31 10:00",
            "2026-01-31 11:00:00+01:00", "31/01/2026 10:00",
        )
    ),
    Case(
        "the day comes first where any date shows it",
        "a.csv",
        text("symbol,price,date", "BTC,1,02/01/2026", "ETH,2,31/01/2026"),
        {"BTC": {"time": "2026-01-02T00:00:00+00:00"}, "ETH": {"time": "2026-01-31T00:00:00+00:00"}},
    ),
    Case(
        "the month comes first where any date shows it",
        "a.csv",
        text("symbol,price,date", "BTC,1,02/01/2026", "ETH,2,01/31/2026"),
        {"BTC": {"time": "2026-02-01T00:00:00+00:00"}, "ETH": {"time": "2026-01-31T00:00:00+00:00"}},
    ),
    Case(
        "a date that could be either is refused",
        "a.csv",
        text("symbol,price,date", "BTC,1,02/01/2026", "ETH,2,2026-01-01"),
        {"ETH": {"price": "2"}},
        rejected=("say day_first in csv.toml",),
    ),
    Case(
        "a row of the future is rejected by its cell",
        "a.csv",
        text("symbol,price,date", "BTC,1,2099-01-01", "ETH,2,2026-01-01"),
        {"ETH": {"price": "2"}},
        rejected=("'2099-01-01' lies in the future - at `$.date`",),
    ),
]  # fmt: skip

NUMBERS = [
    Case(
        "decimal commas",
        "a.csv",
        text("symbol;price_usd;market_cap", "BTC;64123,45;1.260.000.000.000", "ETH;3.120,50;400.000.000.000", "X;0,412;", "Y;1,234;"),
        {
            "BTC": {"price": "64123.45", "cap": "1260000000000"},
            "ETH": {"price": "3120.50", "cap": "400000000000"},
            "X": {"price": "0.412"},
            "Y": {"price": "1.234"},
        },
    ),
    Case(
        "a group of thousands never begins with 0",
        "a.csv",
        text("symbol,price", 'BTC,"64,123.45"', 'X,"0,412"'),
        {"BTC": {"price": "64123.45"}, "X": {"price": "0.412"}},
    ),
    Case(
        "commas that could be either are told",
        "a.csv",
        text("symbol,price", 'BTC,"64,123"', 'ETH,"3,120"'),
        {"BTC": {"price": "64123"}, "ETH": {"price": "3120"}},
        notes=("Commas are read as parting thousands",),
    ),
    Case(
        "between semicolons they are refused",
        "a.csv",
        text("symbol;price", "BTC;64,123", "ETH;3120"),
        {"ETH": {"price": "3120"}},
        rejected=("can be read in two ways",),
    ),
    Case(
        "scales, spaces, signs and words",
        "a.csv",
        text(
            "symbol,price,market cap,24h volume",
            "BTC,$64\u00a0123.45,$1.26T,48.5 Billion",
            "ETH,3\u202f120.5 USD,4.8K,US$ 12M",
            "X,1'234.5,\u2014,#N/A",
            "Y,2,<NA>,\\N",
        ),
        {
            "BTC": {"price": "64123.45", "cap": "1260000000000", "volume": "48500000000"},
            "ETH": {"price": "3120.5", "cap": "4800", "volume": "12000000"},
            "X": {"price": "1234.5", "cap": None, "volume": None},
            "Y": {"price": "2", "cap": None, "volume": None},
        },
    ),
    Case(
        "per cent, where any cell is above 1",
        "a.csv",
        text("symbol,price,change_24h", "A,1,0.5", "B,1,-2.5", "C,1,\u22120.25"),
        {"A": {"change": "0.5"}, "B": {"change": "-2.5"}, "C": {"change": "-0.25"}},
    ),
    Case(
        "fractions, where no cell of many is above 1",
        "a.csv",
        text("symbol,price,change_24h", *(f"C{number},1,0.0{number:02}" for number in range(1, 31))),
        {f"C{number}": {"change": str(number / 10)} for number in range(1, 31)},
    ),
    Case(
        "too few cells to tell per cent from fractions",
        "a.csv",
        text("symbol,price,change_24h", "A,1,0.5"),
        {"A": {"change": "0.5"}},
        notes=("Per cent or fraction?",),
    ),
]  # fmt: skip

COLUMNS = [
    Case(
        "headers in whatever spelling",
        "a.csv",
        text("Coin,Symbol,Price (USD),Market-Cap,Volume (24h),24h %,Available Supply", "Bitcoin,BTC,1,2,3,0.4,5"),
        {"BTC": {"name": "Bitcoin", "price": "1", "cap": "2", "volume": "3", "change": "0.4", "supply": "5"}},
    ),
    Case(
        "US dollars before anything else",
        "a.csv",
        text("symbol,price,price_usd,price_eur,market_cap,usd_market_cap", "BTC,9,1,8,7,2"),
        {"BTC": {"price": "1", "cap": "2"}},
        notes=("price, price_eur, market_cap",),
    ),
    Case("a price in euros", "a.csv", text("symbol,Price (EUR)", "BTC,1"), failure="is in EUR; prices are read in US"),
    Case(
        "a column that names the currency",
        "a.csv",
        text("symbol,price,currency", "BTC,1,USD", "ETH,2,EUR", "SOL,3,usdt"),
        {"BTC": {"price": "1"}, "SOL": {"price": "3"}},
        rejected=("The price is in EUR, not in US dollars - at `$.currency`",),
    ),
    Case(
        "a cell in another currency",
        "a.csv",
        text("symbol,price,market_cap", "BTC,€1,2", "ETH,2,€3"),
        {"ETH": {"price": "2", "cap": None}},
        rejected=("The price is in €, not in US dollars - at `$.price`",),
        notes=("Not in US dollars but in €",),
    ),
    Case(
        "what is not read is named",
        "a.csv",
        text("symbol,price,7d,decimals,date", "BTC,1,2,8,2026-01-01"),
        {"BTC": {"price": "1"}},
        notes=("Columns that are not read: 7d, decimals",),
    ),
    Case(
        "side cells cost nothing",
        "a.csv",
        text("symbol,price,rank,market_cap,24h", "BTC,1,first,lots,5,", "ETH,2,2.5,3,up").replace(b"5,\n", b"5\n"),
        {"BTC": {"price": "1", "cap": None, "rank": None}, "ETH": {"price": "2", "cap": "3", "rank": None, "change": None}},
        notes=("'lots' is not a number", "'first' is not a number", "'up' is not a number"),
    ),
]  # fmt: skip

IDENTITY = [
    Case(
        "row numbers are not ids",
        "a.csv",
        text("id,symbol,name,price,date", "1,BTC,Bitcoin,1,2026-01-01", "2,BTC,Bitcoin,2,2026-01-02", "3,BTC,Bitcoin,3,2026-01-03"),
        {"BTC": {"price": "3", "id": "btc-bitcoin"}},
        notes=("'id' is not an id",),
    ),
    Case(
        "an id that stays the same is one",
        "a.csv",
        text("id,symbol,name,price,date", "90,BTC,Bitcoin,1,2026-01-01", "7,ETH,Ethereum,2,2026-01-01", "90,BTC,Bitcoin,3,2026-01-02"),
        {"BTC": {"price": "3", "id": "90"}, "ETH": {"id": "7"}},
    ),
    Case(
        "two coins of one ticker without names",
        "a.csv",
        text("symbol,price", "BTC,64000", "BTC,0.01", "ETH,3"),
        {"BTC": {"price": None}, "ETH": {"price": "3"}},
        notes=("none of them is believed",),
    ),
    Case(
        "one coin read twice a moment apart",
        "a.csv",
        text("symbol,name,price", "BTC,Bitcoin,64000", "BTC,Bitcoin,64010", "ETH,Ethereum,3"),
        {"BTC": {"price": "64000"}, "ETH": {"price": "3"}},
        notes=("the first of them counts",),
    ),
    Case(
        "pairs",
        "a.csv",
        text("pair,price,time", "BTC/USDT,1,2026-01-01", "ETH/USD,2,2026-01-01", "ETH/BTC,3,2026-01-01"),
        {"BTC": {"price": "1"}, "ETH": {"price": "2"}},
        rejected=("The price is in BTC, not in US dollars - at `$.pair`",),
        notes=("coins that stand for a dollar",),
    ),
    Case(
        "joined pairs beside their quote",
        "a.csv",
        text("symbol,quote_asset,last_price,close_time", "BTCUSDT,USDT,1,1767311999999", "ETHUSDC,USDC,2,1767311999999"),
        {"BTC": {"price": "1"}, "ETH": {"price": "2", "time": "2026-01-01T23:59:59.999000+00:00"}},
    ),
    Case(
        "a file of one coin by its name",
        "bitcoin.csv",
        text("Date,Open,High,Low,Close,Adj Close,Volume", "2026-01-01,1,4,0.5,2,2,100", "2026-01-02,2,5,1,3,3,200"),
        {"BTC": {"price": "3", "volume": "200", "time": "2026-01-02T00:00:00+00:00", "name": "Bitcoin"}},
        notes=("by the name of the file all rows are of BTC",),
    ),
    Case(
        "a file of one pair by its name",
        "BTC-USD.csv",
        text("snapped_at,price,market_cap,total_volume", "2026-01-01 00:00:00 UTC,1,2,3"),
        {"BTC": {"price": "1", "cap": "2", "volume": "3", "time": "2026-01-01T00:00:00+00:00"}},
    ),
    Case("a pair in euros by its name", "BTC-EUR.csv", text("date,price", "2026-01-01,1"), failure="prices in EUR"),
    Case("a name of no coin", "prices.csv", text("date,price", "2026-01-01,1"), failure="csv.toml says its symbol"),
]  # fmt: skip

FORMS = [
    Case("semicolons", "a.csv", PLAIN.replace(b",", b";"), PLAIN_ROWS),
    Case("tabs", "a.tsv", PLAIN.replace(b",", b"\t"), PLAIN_ROWS),
    Case("bars", "a.csv", PLAIN.replace(b",", b"|"), PLAIN_ROWS),
    Case("a line that names the delimiter", "a.csv", b"sep=;\r\n" + PLAIN.replace(b",", b";"), PLAIN_ROWS),
    Case("a byte order mark", "a.csv", b"\xef\xbb\xbf" + PLAIN, PLAIN_ROWS),
    Case("a mark before a quote", "a.csv", b"\xef\xbb\xbf" + PLAIN.replace(b"symbol", b'"symbol"'), PLAIN_ROWS),
    Case("carriage returns alone", "a.csv", PLAIN.replace(b"\n", b"\r"), PLAIN_ROWS),
    Case("both line ends", "a.csv", PLAIN.replace(b"\n", b"\r\n"), PLAIN_ROWS),
    Case("UTF-16", "a.csv", PLAIN.decode().encode("utf-16"), PLAIN_ROWS),
    Case("UTF-16 without a mark", "a.csv", PLAIN.decode().encode("utf-16-le"), PLAIN_ROWS),
    Case("trailing delimiters", "a.csv", PLAIN.replace(b"\n", b",\n"), PLAIN_ROWS),
    Case("trailing delimiters in rows alone", "a.csv", PLAIN.replace(b"Z\n", b"Z,,\n"), PLAIN_ROWS),
    Case(
        "lines before the header",
        "a.csv",
        b"https://www.example.com\n# prices of today\n\n" + PLAIN,
        PLAIN_ROWS,
        notes=("Lines before the header that are not read: 2",),
    ),
    Case("gzip", "a.csv.gz", gzip.compress(PLAIN), PLAIN_ROWS),
    Case("bzip2", "a.csv.bz2", bz2.compress(PLAIN), PLAIN_ROWS),
    Case("zstd", "a.csv.zst", compress(PLAIN), PLAIN_ROWS),
    Case("zip", "a.zip", zipped("a.csv", PLAIN), PLAIN_ROWS),
    Case(
        "objects in an array",
        "a.json",
        b'[{"symbol":"btc","name":"Bitcoin","current_price":64123.45,"market_cap":null,"last_updated":"2026-01-31T10:00:00Z"},'
        b'{"symbol":"eth","name":"Ethereum","current_price":3120.5,"roi":{"times":1.5},"last_updated":"2026-01-31T10:00:00Z"}]',
        PLAIN_ROWS,
    ),
    Case(
        "one object a line",
        "a.ndjson",
        b'{"symbol":"BTC","name":"Bitcoin","price":"64123.45","time":1769853600}\n'
        b'{"symbol":"ETH","name":"Ethereum","price":3120.5,"time":1769853600}\n',
        PLAIN_ROWS,
    ),
    Case(
        "a provider's answer",
        "a.json",
        b'{"status":{"error_code":0},"data":[{"symbol":"BTC","name":"Bitcoin","quote":{"USD":{"price":64123.45,'
        b'"market_cap":1.2e12,"last_updated":"2026-01-31T10:00:00Z"}}}]}',
        {"BTC": {"price": "64123.45", "cap": "1.2e12", "time": "2026-01-31T10:00:00+00:00"}},
    ),
    Case(
        "a chart's arrays",
        "btc-usd.json",
        b'{"prices":[[1769853600000,64123.45]],"market_caps":[[1769853600000,5]],"total_volumes":[[1769853600000,6]]}',
        {"BTC": {"price": "64123.45", "cap": "5", "volume": "6", "time": "2026-01-31T10:00:00+00:00"}},
    ),
    Case(
        "candles without a header",
        "BTCUSDT-1d-2026-01.csv",
        text(KLINE),
        {"BTC": {"price": "88839.04", "volume": "554000000.12", "time": "2026-01-01T23:59:59.999000+00:00"}},
    ),
    Case(
        "candles under a link",
        "Binance_BTCUSDT_d.csv",
        text(
            "https://www.example.com",
            "Unix,Date,Symbol,Open,High,Low,Close,Volume BTC,Volume USDT,tradecount",
            "1767225600000,2026-01-01 00:00:00,BTC/USDT,1,4,0.5,2,50,100,7",
        ),
        {"BTC": {"price": "2", "volume": "100", "time": "2026-01-01T00:00:00+00:00"}},
    ),
    Case("a web page", "a.csv", b"<!DOCTYPE html><html><body>Log in</body></html>", failure="is an HTML page"),
    Case(
        "a pointer of Git LFS",
        "a.csv",
        text("version https://git-lfs.github.com/spec/v1", "oid sha256:0", "size 1"),
        failure="is a Git LFS pointer, not the file itself",
    ),
    Case("a workbook", "a.csv", zipped("xl/workbook.xml", b"<x/>"), failure="is an Office document"),
    Case("an archive of several", "a.zip", b"", failure="is not"),
    Case("a document that is no table", "a.json", b'{"error":"rate limited"}', failure="wanted are at least a symbol"),
]  # fmt: skip
FORMS[-2] = Case(
    "a torn archive", "a.zip", zipped("a.csv", PLAIN)[:60], failure="is not a whole zip file"
)

MAPPED = [
    Case(
        "columns, decimals and currency by csv.toml",
        "kurse.csv",
        text("Kurs;Stand", "64.123;31.01.2026 11:00"),
        {"BTC": {"price": "64123", "time": "2026-01-31T10:00:00+00:00", "name": "Bitcoin"}},
        mapping=(
            '["kurse*.csv"]\nsymbol = "BTC"\nname = "Bitcoin"\ndecimal = ","\ntime_zone = "Europe/Berlin"\n'
            'columns = { price = "Kurs", time = "Stand" }\n'
        ),
    ),
    Case(
        "a header by csv.toml",
        "a.csv",
        text("BTC,1,2026-01-01", "ETH,2,2026-01-01"),
        {"BTC": {"price": "1"}, "ETH": {"price": "2"}},
        mapping='["*.csv"]\nheader = ["symbol", "price", "date"]\n',
    ),
    Case(
        "an encoding by csv.toml",
        "a.csv",
        "symbol,name,price,date\nX,Über,1,2026-01-01\n".encode("cp1252"),
        {"X": {"name": "Über"}},
        mapping='["*"]\nencoding = "cp1252"\n',
    ),
    Case(
        "a mapping that cannot be",
        "a.csv",
        PLAIN,
        failure="csv.toml: columns.prise is not a column",
        mapping='["*"]\ncolumns = { prise = "x" }\n',
    ),
]
CASES = [*TIMES, *NUMBERS, *COLUMNS, *IDENTITY, *FORMS, *MAPPED]
