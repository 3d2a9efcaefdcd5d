"""Generated files: what comes out of one equals what was put in, or a reader is told."""

import bz2
import csv
import datetime
import email.utils
import gzip
import io
import json
import os
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from db.notes import Note
from ingestor.sources.errors import SourceError
from ingestor.sources.files.paths import find_files
from ingestor.sources.files.reading import CsvReading
from ingestor.sources.files.source import CsvFiles
from ingestor.sources.records import Listing, RecordError
from tests.ingestor.files.zstd import compress

FILES = int(os.environ.get("GENERATED_FILES", "400"))
NOW = datetime.datetime(2026, 11, 23, 12, tzinfo=datetime.UTC)
FIRST = datetime.datetime(2015, 1, 1, tzinfo=datetime.UTC)
TIMES = (
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%dT%H:%M:%SZ",
    "%d.%m.%Y %H:%M:%S",
    "%d/%m/%Y %H:%M:%S",
    "%m/%d/%Y %H:%M:%S",
    "%Y/%m/%d %H:%M:%S",
    "%b %d, %Y %H:%M:%S",
    "%d %B %Y %I:%M:%S %p",
    "%Y-%m-%d %H:%M:%S UTC",
    "%Y-%m-%d %H:%M:%S.000+0000",
    "rfc 2822",
    *("1", "1000", "1000000", "1000000000"),
)
"""Formats of strftime, or how many units of a count a second has."""
FORMS = ("csv", "csv", "csv", "json", "json numbers", "ndjson")
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "zstd": compress,
    "zip": lambda content: zipped(content),  # noqa: PLW0108 - defined below
}


@dataclass(frozen=True)
class Row:
    symbol: str
    name: str
    price: Decimal
    cap: Decimal | None
    change: Decimal | None
    time: datetime.datetime


@dataclass(frozen=True)
class Style:
    delimiter: str
    mark: str
    group: str
    quoting: int
    encoding: str
    line_end: str
    time: str
    headers: tuple[str, str, str, str, str, str]
    money: str
    percent: str
    missing: str
    preamble: tuple[str, ...]
    blank_end: bool
    form: str
    packing: str
    cut: int | None
    cut_packed: int | None


@st.composite
def numbers(draw: st.DrawFn) -> Decimal:
    return Decimal(draw(st.integers(1, 10**12))).scaleb(-draw(st.integers(0, 9)))


rows = st.builds(
    Row,
    symbol=st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_size=1, max_size=6),
    name=st.text(
        st.characters(codec="utf-8", categories=("Lu", "Ll", "Nd", "Po", "Zs")),
        min_size=1,
        max_size=12,
    ),
    price=numbers(),
    cap=st.none() | numbers(),
    change=st.none() | st.integers(-9_000, 90_000).map(lambda number: Decimal(number).scaleb(-2)),
    time=st.integers(0, 340_000_000).map(
        lambda seconds: FIRST + datetime.timedelta(seconds=seconds)
    ),
)
styles = st.builds(
    Style,
    delimiter=st.sampled_from(",;\t|"),
    mark=st.sampled_from(".,"),
    group=st.sampled_from(["", "other", "indian", "\u202f", "\u00a0", "'", "\u2019"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    encoding=st.sampled_from(
        ["utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-16-le", "cp1252"]
    ),
    line_end=st.sampled_from(["\n", "\r\n", "\r"]),
    time=st.sampled_from(TIMES),
    headers=st.sampled_from(
        [
            ("symbol", "name", "price", "market_cap", "change_24h", "date"),
            ("Ticker", "Coin", "Price (USD)", "Market-Cap", "24h %", "Last Updated"),
            ("SYMBOL", "Name", "current_price", "mktCap", "percent_change_24h", "snapped_at"),
        ]
    ),
    money=st.sampled_from(["{}", "{}", "${}", "{} USD", "US$ {}", "{} $"]),
    percent=st.sampled_from(["{}", "{}%", "{} %"]),
    missing=st.sampled_from(["", "N/A", "-", "nan", "<NA>", "#DIV/0!", "\\N", "\u2014", "null"]),
    preamble=st.sampled_from(
        [(), (), ("# a comment",), ("A title", "https://example.com"), ("sep=",)]
    ),
    blank_end=st.booleans(),
    form=st.sampled_from(FORMS),
    packing=st.sampled_from(["", "", *PACKERS]),
    cut=st.none() | st.integers(1, 60),
    cut_packed=st.none() | st.none() | st.integers(1, 60),
)


def number_text(number: Decimal, style: Style) -> str:
    whole, _, fraction = f"{number:f}".partition(".")
    sign, whole = ("-", whole[1:]) if whole.startswith("-") else ("", whole)
    group = {",": ".", ".": ","}[style.mark] if style.group in ("other", "indian") else style.group
    if group and len(whole) > 3:
        whole = indian(whole) if style.group == "indian" else f"{int(whole):,}"
        whole = whole.replace(",", group)
    return f"{sign}{whole}{style.mark}{fraction}" if fraction else f"{sign}{whole}"


def indian(whole: str) -> str:
    """Return digits in groups of two, the last one of three: 12,34,567."""
    head, last = whole[:-3], whole[-3:]
    groups = [head[max(end - 2, 0) : end] for end in range(len(head), 0, -2)]
    return ",".join([*reversed(groups), last])


def time_text(moment: datetime.datetime, style: Style) -> str:
    if style.time == "rfc 2822":
        return email.utils.format_datetime(moment)
    return (
        str(int(moment.timestamp()) * int(style.time))
        if style.time.isdecimal()
        else moment.strftime(style.time)
    )


def zipped(content: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("table.csv", content)
    return out.getvalue()


def cells_of(row: Row, style: Style) -> list[str]:
    return [
        row.symbol,
        row.name,
        style.money.format(number_text(row.price, style)),
        style.missing if row.cap is None else style.money.format(number_text(row.cap, style)),
        style.missing
        if row.change is None
        else style.percent.format(number_text(row.change, style)),
        time_text(row.time, style),
    ]


def table_text(table: list[Row], style: Style) -> str:
    out = io.StringIO()
    preamble = [f"sep={style.delimiter}" if line == "sep=" else line for line in style.preamble]
    out.writelines(line + style.line_end for line in preamble)
    writer = csv.writer(
        out,
        delimiter=style.delimiter,
        quoting=style.quoting,  # type: ignore[arg-type]  # a constant of csv
        lineterminator=style.line_end,
    )
    blank_end = [""] if style.blank_end else []
    writer.writerow([*style.headers, *blank_end])
    writer.writerows([*cells_of(row, style), *blank_end] for row in table)
    return out.getvalue()


def objects_text(table: list[Row], style: Style) -> str:
    objects = [dict(zip(style.headers, cells_of(row, style), strict=True)) for row in table]
    texts = [json.dumps(entry, ensure_ascii=style.blank_end) for entry in objects]
    if style.form == "json numbers":
        texts = [number_object(row, style) for row in table]
    return (
        "".join(f"{text}\n" for text in texts)
        if style.form == "ndjson"
        else f"[{', '.join(texts)}]"
    )


def number_object(row: Row, style: Style) -> str:
    """Return an object whose numbers are JSON's own; a missing one is null or left out."""
    fields = {
        header: "null" if number is None else str(number)
        for header, number in zip(style.headers[2:5], (row.price, row.cap, row.change), strict=True)
        if number is not None or style.blank_end
    }
    texts = zip(style.headers[:2], (row.symbol, row.name), strict=True)
    fields |= {
        header: json.dumps(text)
        for header, text in [*texts, (style.headers[5], time_text(row.time, style))]
    }
    inside = ", ".join(f"{json.dumps(header)}: {text}" for header, text in fields.items())
    return f"{{{inside}}}"


def written(table: list[Row], style: Style) -> bytes:
    text = table_text(table, style) if style.form == "csv" else objects_text(table, style)
    encoding = style.encoding if style.form == "csv" else "utf-8"
    content = text.encode(encoding, "replace" if encoding == "cp1252" else "strict")
    content = content if style.cut is None else content[: -style.cut]
    packed = PACKERS[style.packing](content)
    return packed if not style.packing or style.cut_packed is None else packed[: -style.cut_packed]


def read(path: Path) -> tuple[list[Listing], list[str], list[Note]]:
    """Return the listings, the rejections and the notes; a refused file is one rejection."""
    source = CsvFiles(str(path))
    (file,) = find_files(str(path))
    listings: list[Listing] = []
    reasons: list[str] = []
    try:
        reading = CsvReading(file, file.identity.mtime_ns)
    except SourceError as error:
        return [], [str(error)], []
    try:
        part = reading.read_slice(1_000)
    finally:
        reading.close()
    reasons += [rejection.error for rejection in part.rejections]
    notes = reading.notes
    for record in part.records:
        try:
            listings.append(source.to_listing(record, NOW))
            notes += listings[-1].notes
        except RecordError as error:
            reasons.append(str(error))
    return listings, reasons, notes


@pytest.mark.timeout(0)
@settings(
    max_examples=FILES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(table=st.lists(rows, min_size=1, max_size=6), style=styles)
def test_what_comes_out_is_what_was_put_in_or_is_told(
    table: list[Row], style: Style, tmp_path: Path
) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(written(table, style))
    os.utime(path, (1_700_000_000, 1_700_000_000))  # it is written to its end
    listings, reasons, notes = read(path)
    texts = [*reasons, *(note.text for note in notes)]
    told = bool(reasons) or any(_is_doubt(text) for text in texts)
    event(f"{style.form}: {'told' if told else 'read without a doubt'}")
    put_in = {(row.symbol, row.price, row.cap, row.change, row.time) for row in table}
    for listing in listings:
        moment = listing.observed_at
        if moment.microsecond and listing.price_usd is None:  # it repeats a row, which counts
            continue
        fields = (
            listing.ticker,
            listing.price_usd,
            listing.market_cap_usd,
            listing.percent_change_24h,
            moment,
        )
        assert fields in put_in or told, (fields, texts)
    # Whole rows that were cut off leave no trace in a file.
    assert len(listings) == len(table) or told or style.cut or style.cut_packed, texts


def _is_doubt(text: str) -> bool:
    """Return whether a note says that a value may be wrong or is missing."""
    return not text.startswith(
        ("Columns that are not read", "Lines before the header", "Rows that repeat")
    )
