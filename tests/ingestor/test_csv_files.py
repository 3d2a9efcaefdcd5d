"""CSV files as a source: recorded, many at once, changed, and after a run that was killed."""

import datetime
import gzip
import json
import os
import shutil
import tracemalloc
from collections import Counter
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from common.settings import Settings
from ingestor.sources.errors import SourceError, SourceMalformedError, SourceRefusedError
from ingestor.sources.files.source import CsvFiles, create
from ingestor.sources.records import Checkpoint, Listing, Page, RecordError

NOW = datetime.datetime(2026, 11, 23, 12, tzinfo=datetime.UTC)
CRLF = b"\r\n"


async def pages_of(
    source: CsvFiles, checkpoint: Checkpoint | None = None, *, full: bool = False
) -> list[Page]:
    return [page async for page in source.pages(checkpoint, full=full)]


def after(page: Page) -> Checkpoint:
    return Checkpoint(position=msgspec.json.decode(msgspec.json.encode(page.position)))


async def payloads(path: Path) -> list[dict[str, str]]:
    return [
        json.loads(record.raw)
        for page in await pages_of(CsvFiles(str(path)))
        for record in page.records
    ]


async def read(path: Path) -> tuple[list[Listing], list[str]]:
    """Return every listing of a file and every error: each row is one or the other."""
    source = CsvFiles(str(path))
    listings, errors = [], []
    for page in await pages_of(source):
        errors += [rejection.error for rejection in page.rejections]
        for record in page.records:
            try:
                listings.append(source.to_listing(record, NOW))
            except RecordError as error:
                errors.append(str(error))
    return listings, errors


def ids(pages: list[Page]) -> list[str]:
    return [record.external_id for page in pages for record in page.records]


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("csv-coingecko-top-2022-03-16.csv", 500),
        ("csv-coingecko-tokens-2022-10-26.csv.gz", 2_250),
        ("csv-coingecko-tokens-2022-11-05.csv", 10_750),
        ("csv-coingecko-tokens-2023-01-10.csv", 10_492),
        ("csv-coinmarketcap-tokens-2023-01-10.csv.gz", 8_864),
        ("csv-merged-tokens-2022-11-03.csv.gz", 21_316),
        ("csv-top100-prices-2025-08-05.csv", 100),
        ("csv-top100-prices-2025-10-10.csv", 100),
        ("csv-top100-prices-2026-02-03.csv", 100),
        ("csv-dollar-snapshots-2026-01-26-to-02-07.csv.gz", 20_400),
    ],
)
async def test_every_row_of_every_recorded_file_is_a_listing(
    shared_recordings: Path, name: str, count: int
) -> None:
    listings, errors = await read(shared_recordings / name)
    assert (len(listings), errors) == (count, [])


async def test_the_top_coins_hold_fractions_and_their_gaps_are_missing(
    shared_recordings: Path,
) -> None:
    listings, _ = await read(shared_recordings / "csv-coingecko-top-2022-03-16.csv")
    bitcoin = listings[0]
    assert (bitcoin.external_id, bitcoin.name, bitcoin.price_usd) == (
        "btc-bitcoin",
        "Bitcoin",
        Decimal("40859.46"),
    )
    assert bitcoin.percent_change_24h == 3
    assert bitcoin.observed_at == datetime.datetime(2022, 3, 16, tzinfo=datetime.UTC)
    assert sum(listing.percent_change_24h is None for listing in listings) == 3
    assert sum(listing.volume_24h_usd is None for listing in listings) == 3
    assert min(listing.price_usd for listing in listings if listing.price_usd) == Decimal(
        "1.544e-9"
    )
    shared = [
        ticker
        for ticker, count in Counter(listing.ticker for listing in listings).items()
        if count > 1
    ]
    assert sorted(shared) == ["FEG", "RUNE", "TIME"]


async def test_embedded_dictionaries_stay_in_the_payload(shared_recordings: Path) -> None:
    listings, _ = await read(shared_recordings / "csv-coingecko-tokens-2022-10-26.csv.gz")
    payload = (await payloads(shared_recordings / "csv-coingecko-tokens-2022-10-26.csv.gz"))[0]
    assert (
        payload["_coingecko_coin"]
        == "{'id': 'bitcoin', 'symbol': 'btc', 'name': 'Bitcoin', 'platforms': {}}"
    )
    assert payload["price_usd"] == "20726.0"
    assert (
        sum(count > 1 for count in Counter(listing.ticker for listing in listings).values()) == 75
    )
    assert {"42", "777", "1337"} <= {listing.ticker for listing in listings}


@pytest.mark.parametrize(
    ("name", "no_cap", "no_price", "shared"),
    [
        ("csv-coingecko-tokens-2022-11-05.csv", 481 + 6334 + 3, 306 + 17 + 1 + 8, 1565),
        ("csv-coingecko-tokens-2023-01-10.csv", 422 + 6093, 262 + 16 + 1 + 6, 1410),
    ],
)
async def test_gaps_zeros_and_negative_prices_are_missing(
    shared_recordings: Path, name: str, no_cap: int, no_price: int, shared: int
) -> None:
    listings, _ = await read(shared_recordings / name)
    # Of one file, three are of rows that repeat a coin, which have no figures of their own.
    assert sum(listing.market_cap_usd is None for listing in listings) == no_cap
    # The last ones are rows of one coin whose prices lie far apart: none of them is believed.
    repeated = sum(listing.observed_at.microsecond > 0 for listing in listings)
    assert (
        sum(
            listing.price_usd is None for listing in listings if not listing.observed_at.microsecond
        )
        == no_price
    )
    assert repeated > 500
    assert (
        sum(count > 1 for count in Counter(listing.ticker for listing in listings).values())
        == shared
    )
    assert {"TRUE", "INF", "42", "404", "2044"} <= {listing.ticker for listing in listings}
    # A row that repeats a coin stands a moment before the one that counts.
    day = datetime.datetime.fromisoformat(name[-14:-4]).replace(tzinfo=datetime.UTC)
    assert {listing.observed_at for listing in listings} == {
        day,
        day - datetime.timedelta(microseconds=1),
    }


async def test_prices_far_below_a_cent_are_exact(shared_recordings: Path) -> None:
    listings, _ = await read(shared_recordings / "csv-coinmarketcap-tokens-2023-01-10.csv.gz")
    assert (
        sum(count > 1 for count in Counter(listing.ticker for listing in listings).values()) == 894
    )
    smallest = min(listing.price_usd for listing in listings if listing.price_usd)
    assert 0 < smallest < Decimal("1e-19")
    assert {"00", "E8", "TRUE", "INF"} <= {listing.ticker for listing in listings}
    assert any("," in listing.ticker for listing in listings)
    assert all(listing.name == listing.name.strip() for listing in listings if listing.name)


async def test_one_symbol_on_many_contracts_is_many_listings(shared_recordings: Path) -> None:
    listings, _ = await read(shared_recordings / "csv-merged-tokens-2022-11-03.csv.gz")
    assert sum(listing.name is None for listing in listings) == 2580
    assert sum(listing.ticker == "META" for listing in listings) == 84
    assert (
        sum(listing.symbol != listing.ticker for listing in listings) == 186 + 2
    )  # an acute accent is a compatibility character
    links = [listing.external_id for listing in listings if listing.ticker == "LINK"]
    assert "link-0xf97f4df75117a78c1a5a0dbb814af92458539fb4" in links
    assert "NA" in {listing.ticker for listing in listings}


async def test_dollar_signs_per_cent_and_rows_out_of_order_are_read(
    shared_recordings: Path,
) -> None:
    listings, _ = await read(shared_recordings / "csv-dollar-snapshots-2026-01-26-to-02-07.csv.gz")
    assert sum(listing.price_usd is None for listing in listings) == 618
    assert Decimal("2655.61") in {listing.volume_24h_usd for listing in listings}
    assert 0 < sum(listing.percent_change_24h is None for listing in listings) <= 9
    assert len({listing.observed_at for listing in listings}) > 400
    times = [listing.observed_at for listing in listings]
    assert times != sorted(times) != times[::-1]
    newest = max(listings, key=lambda listing: listing.observed_at)
    assert newest.observed_at == datetime.datetime(2026, 2, 7, 23, 59, 51, tzinfo=datetime.UTC)
    assert listings[0].market_cap_usd == 1809123775


async def test_a_coin_twice_in_a_file_keeps_both_rows(shared_recordings: Path) -> None:
    (page,) = await pages_of(CsvFiles(str(shared_recordings / "csv-top100-prices-2025-08-05.csv")))
    tickers = Counter(json.loads(record.raw)["symbol"] for record in page.records)
    assert len(page.records) == 100
    assert {ticker for ticker, count in tickers.items() if count > 1} <= {
        "USDT",
        "WETH",
        "USDC",
        "SOL",
    }
    assert max(tickers.values()) == 2


async def test_the_payload_is_the_row_by_its_headers(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "\ufeffSymbol,Price,price,date", "btc,$1,2,2022-03-16")
    (listing,), _ = await read(path)
    assert await payloads(path) == [
        {"Symbol": "btc", "Price": "$1", "price": "2", "date": "2022-03-16"}
    ]
    assert (listing.ticker, listing.symbol, listing.price_usd) == ("BTC", "btc", Decimal(1))


@pytest.mark.parametrize(
    ("row", "external_id"),
    [
        ("c-17,BTC,Bitcoin,", "c-17"),
        (",BTC,Bitcoin,", "btc-bitcoin"),
        (",btc , Crypto.com  Coin ,", "btc-crypto-com-coin"),
        (",WETH,Wrapped ETH,0xAbC", "weth-wrapped-eth-0xabc"),
        (",LINK,,0x1", "link-0x1"),
        (",X,,", "x"),
    ],
)
async def test_a_row_is_known_by_its_id_or_by_ticker_name_and_address(
    tmp_path: Path, row: str, external_id: str
) -> None:
    path = write(tmp_path / "a.csv", "coin_id,symbol,name,address,price", f"{row},1")
    (listing,), _ = await read(path)
    assert listing.external_id == external_id


async def test_a_row_is_observed_by_its_own_time_else_by_its_files(tmp_path: Path) -> None:
    write(
        tmp_path / "b-2022-01-01-to-2024-05-06-or-2023-02-30.csv",
        "symbol,price,date",
        "A,1,2021-01-01",
        "B,1,",
    )
    undated = write(tmp_path / "a.csv", "symbol,price", "C,1")
    os.utime(undated, (1_700_000_000, 1_700_000_000))
    listings, _ = await read(tmp_path)
    assert {listing.ticker: listing.observed_at.isoformat() for listing in listings} == {
        "A": "2021-01-01T00:00:00+00:00",
        "B": "2024-05-06T00:00:00+00:00",
        "C": "2023-11-14T22:13:20+00:00",
    }


async def test_the_same_row_in_a_file_of_another_day_is_news(tmp_path: Path) -> None:
    for day in ("2026-01-01", "2026-01-02"):
        write(tmp_path / f"prices-{day}.csv", "symbol,price", "USDT,1.0")
    first, second = [page.records[0] for page in await pages_of(CsvFiles(str(tmp_path)))]
    assert first.external_id == second.external_id
    assert first.content_hash != second.content_hash


async def test_rows_that_cannot_be_read_are_rejected_with_their_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    lines = [
        b"<<<<<<< HEAD", b"symbol,price,date", b"BTC,1,", b"=======", b"ETH,2", b"\xff,1,",
        b" ,1,", b"DOGE,high,",
        b"SOL,3,", b"ADA,1,someday", b">>>>>>> other", b"T" * 300 + b",1,",
    ]  # fmt: skip
    path.write_bytes(b"\xef\xbb\xbf" + CRLF.join(lines) + CRLF)
    listings, errors = await read(path)
    assert [listing.ticker for listing in listings] == ["BTC", "SOL"]
    assert errors == [
        *["The line is a merge marker: the file was committed with a conflict in it"] * 2,
        "The row has 2 cells, the header 3",
        "The row is not UTF-8: invalid start byte at byte 0",
        "The symbol is empty - at `$.symbol`",
        "The line is a merge marker: the file was committed with a conflict in it",
        "A text of 300 characters is longer than 256 - at `$.symbol`",
        "'high' is not a number - at `$.price`",
        "'someday' is not a time - at `$.date`",
    ]
    (page,) = await pages_of(CsvFiles(str(path)))
    assert [rejection.payload for rejection in page.rejections][:3] == [
        b"\xef\xbb\xbf<<<<<<< HEAD\r\n", b"=======\r\n", b"ETH,2\r\n",
    ]  # fmt: skip


async def test_an_unknown_layout_names_file_and_columns(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "coin,usd", "btc,1")
    with pytest.raises(
        SourceMalformedError,
        match=r"a\.csv: of its columns \(2\) these are known: name; wanted are at least a symbol",
    ):
        await read(path)


@pytest.mark.parametrize("content", [b"", b"\n\n", b"=======\n"])
async def test_a_file_without_a_header_is_malformed(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(
        SourceMalformedError,
        match=r"a\.csv has no header; wanted are at least the columns symbol and price",
    ):
        await read(tmp_path / "a.csv")


async def test_a_header_alone_is_one_empty_page(tmp_path: Path) -> None:
    (page,) = await pages_of(CsvFiles(str(write(tmp_path / "a.csv", "symbol,price"))))
    assert (page.records, page.ends_group, page.sweep_groups) == ([], True, ("a.csv",))


async def test_an_empty_folder_is_no_failure_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    write(tmp_path / "empty" / "readme.txt", "symbol,price")
    source = CsvFiles(str(tmp_path / "empty"))
    assert await pages_of(source) == []
    assert source.why_no_page() == (
        f"{tmp_path / 'empty'} holds no CSV file yet; *.csv, *.json and the like that are "
        "put there are read at "
        "the next poll"
    )
    write(tmp_path / "empty" / "a.csv", "symbol,price", "BTC,1")
    (page,) = await pages_of(source)
    assert (len(page.records), source.why_no_page()) == (1, None)


async def test_the_folder_of_the_state_folder_is_made_and_a_named_one_is_not(
    tmp_path: Path,
) -> None:
    source = create(Settings(home=tmp_path / "home"))
    assert await pages_of(source) == []
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["csv"]
    (tmp_path / "home" / "csv").rmdir()
    (tmp_path / "home" / "csv").touch()
    with pytest.raises(
        SourceRefusedError,
        match=r"/csv, the folder of CSV files, cannot be made: File exists; set ",
    ):
        await pages_of(source)
    with pytest.raises(SourceRefusedError, match="no such file"):
        await pages_of(create(Settings(home=tmp_path, csv_path=str(tmp_path / "other"))))
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("csv_path", ["none.csv", "none*.csv", "none/a.csv"])
async def test_no_file_is_refused_and_says_what_to_do(
    tmp_path: Path, csv_path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SourceRefusedError) as caught:
        await pages_of(CsvFiles(csv_path))
    assert str(caught.value) == (
        f"CSV_PATH {csv_path}: no such file; it must be a file, a folder of *.csv, *.json, "
        "*.parquet and the like, "
        "or a glob"
    )


async def test_a_folder_a_glob_and_a_file_name_their_groups(tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    for name in ("a.csv", "b.CSV", "c.csv.gz", "d.txt", "[e].csv", "deep/f.csv", "deep/er/g.csv"):
        content = b"symbol,price\nX,1\n"
        (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)

    async def groups(csv_path: str) -> list[str]:
        return [page.group for page in await pages_of(CsvFiles(str(tmp_path / csv_path)))]

    assert await groups("") == ["[e].csv", "a.csv", "b.CSV", "c.csv.gz"]
    assert await groups("*.csv") == ["[e].csv", "a.csv"]
    assert await groups("[e].csv") == ["[e].csv"]
    assert await groups("deep/*.csv") == ["f.csv"]
    assert await groups("**/*.csv") == ["[e].csv", "a.csv", "deep/er/g.csv", "deep/f.csv"]
    assert await groups("d*/er/?.csv") == ["deep/er/g.csv"]
    assert await groups("d.txt") == ["d.txt"]


SECRET = "hunter2-hunter2-hunter2-hunter2-hunter2-xyz"  # noqa: S105 - what must not be shown


@pytest.mark.parametrize("pattern", ["", "*.csv", "*/*.csv"])
async def test_a_link_in_the_folder_does_not_leave_it(tmp_path: Path, pattern: str) -> None:
    outside = write(tmp_path / "outside.csv", "symbol,price", f"{SECRET[:8]},1")
    folder = tmp_path / "csv"
    inner = folder / "inner" if "/" in pattern else folder
    inner.mkdir(parents=True)
    numbered(inner / "own.csv", 1)
    (inner / "within.csv").symlink_to(inner / "own.csv")
    (inner / "evil.csv").symlink_to(outside)
    (inner / "gone.csv").symlink_to(tmp_path / "none.csv")
    source = CsvFiles(str(folder / pattern) if pattern else str(folder))
    pages: list[Page] = []

    async def read_all() -> None:
        async for page in source.pages(None, full=True):
            pages.append(page)  # noqa: PERF401 - kept when the next one fails

    with pytest.raises(
        SourceRefusedError, match=r"evil\.csv is a link that leads out of its folder"
    ):
        await read_all()
    assert sorted(page.group.rpartition("/")[2] for page in pages) == ["own.csv", "within.csv"]
    # Who names the file itself means it.
    (named,) = await pages_of(CsvFiles(str(inner / "evil.csv")))
    assert (named.group, len(named.records)) == ("evil.csv", 1)


@pytest.mark.parametrize(
    "content",
    [
        SECRET,
        f"{SECRET},{SECRET}\n{SECRET}",
        f'"{SECRET}',
        f"\x1f\x8b{SECRET}",
        f"symbol\n{SECRET}\n",
    ],
)
async def test_an_error_shows_nothing_of_a_file(tmp_path: Path, content: str) -> None:
    (tmp_path / "token.csv").write_bytes(content.encode("latin-1"))
    with pytest.raises(SourceError) as caught:
        await pages_of(CsvFiles(str(tmp_path / "token.csv")))
    assert "hunter2" not in str(caught.value)
    assert "token.csv" in str(caught.value)


def numbered(path: Path, count: int, *, first: int = 0) -> Path:
    return write(
        path, "symbol,price", *(f"C{number},{number + 1}" for number in range(first, first + count))
    )


async def test_a_file_is_cut_into_pages_and_the_last_ends_the_sweep(tmp_path: Path) -> None:
    numbered(tmp_path / "a.csv", 5)
    numbered(tmp_path / "b.csv", 2, first=5)
    pages = await pages_of(CsvFiles(str(tmp_path), rows_a_page=3))
    assert [(page.group, page.number, len(page.records), page.ends_group) for page in pages] == [
        ("a.csv", 0, 3, False),
        ("a.csv", 1, 2, True),
        ("b.csv", 0, 2, True),
    ]
    assert [page.sweep_groups for page in pages] == [None, None, ("a.csv", "b.csv")]
    assert ids(pages) == [f"c{number}" for number in range(7)]


async def test_files_that_did_not_change_yield_nothing(tmp_path: Path) -> None:
    numbered(tmp_path / "a.csv", 5)
    source = CsvFiles(str(tmp_path))
    pages = await pages_of(source)
    assert await pages_of(source, after(pages[-1])) == []
    assert ids(await pages_of(source, after(pages[-1]), full=True)) == ids(pages)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("written", [0, 1, 2, 3])
async def test_a_killed_run_goes_on_in_the_middle_of_a_file(
    tmp_path: Path,
    written: int,
    packed: bool,  # noqa: FBT001 - pytest names its arguments
) -> None:
    for name, first in (("a.csv", 0), ("b.csv", 7)):
        path = numbered(tmp_path / name, 7, first=first)
        if packed:
            (tmp_path / f"{name}.gz").write_bytes(gzip.compress(path.read_bytes()))
            path.unlink()
    source = CsvFiles(str(tmp_path), rows_a_page=3)
    pages = await pages_of(source)
    rest = await pages_of(source, after(pages[written]))
    assert [(page.group, page.number) for page in rest] == [
        (page.group, page.number) for page in pages[written + 1 :]
    ]
    assert ids(pages[: written + 1]) + ids(rest) == [f"c{number}" for number in range(14)]
    assert rest[-1].sweep_groups == tuple(sorted(path.name for path in tmp_path.iterdir()))


async def test_rejected_lines_above_the_header_are_not_rejected_again_when_a_run_goes_on(
    tmp_path: Path,
) -> None:
    path = write(tmp_path / "a.csv", "=======", "symbol,price", "A,1", "B,2")
    source = CsvFiles(str(path), rows_a_page=1)
    pages = await pages_of(source)
    assert [len(page.rejections) for page in pages] == [1, 0, 0]
    rest = await pages_of(source, after(pages[0]))
    assert [(ids([page]), page.rejections) for page in rest] == [(["b"], []), ([], [])]


async def test_a_changed_file_is_read_again_alone(tmp_path: Path) -> None:
    numbered(tmp_path / "a.csv", 2)
    numbered(tmp_path / "b.csv", 2)
    source = CsvFiles(str(tmp_path))
    pages = await pages_of(source)
    numbered(tmp_path / "b.csv", 3)
    (page,) = await pages_of(source, after(pages[-1]))
    assert (page.group, len(page.records), page.sweep_groups) == ("b.csv", 3, ("a.csv", "b.csv"))


async def test_a_file_that_changed_while_it_was_half_read_is_read_from_its_start(
    tmp_path: Path,
) -> None:
    path = numbered(tmp_path / "a.csv", 6)
    source = CsvFiles(str(path), rows_a_page=3)
    pages = await pages_of(source)
    numbered(path, 6, first=100)
    rest = await pages_of(source, after(pages[0]))
    assert ids(rest) == [f"c{number}" for number in range(100, 106)]
    assert rest[0].number == 0


async def test_a_file_of_the_same_size_and_time_but_other_bytes_is_another(tmp_path: Path) -> None:
    path = numbered(tmp_path / "a.csv", 2)
    status = path.stat()
    pages = await pages_of(CsvFiles(str(path)))
    content = path.read_bytes().replace(b"C0", b"Z9")
    with path.open("r+b") as file:
        file.write(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert ids(await pages_of(CsvFiles(str(path)), after(pages[-1]))) == ["z9", "c1"]


async def test_a_file_that_went_away_ends_the_sweep_without_it(tmp_path: Path) -> None:
    numbered(tmp_path / "a.csv", 1)
    numbered(tmp_path / "b.csv", 1)
    source = CsvFiles(str(tmp_path))
    pages = await pages_of(source)
    (tmp_path / "a.csv").unlink()
    (page,) = await pages_of(source, after(pages[-1]))
    assert (page.records, page.ends_group, page.sweep_groups) == ([], True, ("b.csv",))
    assert await pages_of(source, after(page)) == []


async def test_one_bad_file_fails_the_run_after_the_others_were_read(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", "no,columns")
    numbered(tmp_path / "b.csv", 2)
    source = CsvFiles(str(tmp_path))
    pages: list[Page] = []

    async def read_all() -> None:
        async for page in source.pages(None, full=False):
            pages.append(page)  # noqa: PERF401 - kept when the next one fails

    with pytest.raises(
        SourceMalformedError, match=r"a\.csv: of its columns \(2\) these are known: none"
    ):
        await read_all()
    assert (ids(pages), pages[-1].sweep_groups) == (["c0", "c1"], None)
    # Once it is gone the sweep that it kept open is ended.
    (tmp_path / "a.csv").unlink()
    (closing,) = await pages_of(source, after(pages[-1]))
    assert (closing.records, closing.sweep_groups) == ([], ("b.csv",))


async def test_two_csv_sources_have_names_of_their_own(shared_recordings: Path) -> None:
    sources = [
        CsvFiles(str(shared_recordings / f"csv-{name}-2023-01-10.csv{ending}"), name=name)
        for name, ending in (("coingecko-tokens", ""), ("coinmarketcap-tokens", ".gz"))
    ]
    assert [source.name for source in sources] == ["coingecko-tokens", "coinmarketcap-tokens"]
    assert [sum(len(page.records) for page in await pages_of(source)) for source in sources] == [
        10_492,
        8_864,
    ]


async def test_the_settings_name_the_files(tmp_path: Path) -> None:
    path = numbered(tmp_path / "a.csv", 1)
    source = create(Settings(home=tmp_path, csv_path=str(path), poll_seconds=7))
    assert (source.name, source.kind, source.priority, source.missed_sweeps) == (
        "csv",
        "file",
        30,
        1,
    )
    assert source.poll_seconds == 7
    assert ids(await pages_of(source)) == ["c0"]
    await source.close()


async def test_a_large_file_is_read_in_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(b"symbol,price,note\n")
        for _ in range(60):
            file.write(b"".join(b"C%d,1,%s\n" % (n, b"x" * 1600) for n in range(1000)))
    tracemalloc.start()
    try:
        count = 0
        async for page in CsvFiles(str(path), rows_a_page=500).pages(None, full=False):
            count += len(page.records)
        assert count == 60_000
        # The file is 97 MB; what measures the coverage is counted too.
        assert tracemalloc.get_traced_memory()[1] < 30_000_000
    finally:
        tracemalloc.stop()


async def test_a_page_is_bounded_in_bytes_too(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.csv", "symbol,price,note", *(f"C{n},1,{'x' * 100_000}" for n in range(200))
    )
    pages = await pages_of(CsvFiles(str(path)))
    assert [len(page.records) for page in pages] == [84, 84, 32]


async def test_a_copy_of_a_folder_elsewhere_is_read_as_new(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    numbered(tmp_path / "one" / "a.csv", 1)
    pages = await pages_of(CsvFiles(str(tmp_path / "one")))
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    assert len(await pages_of(CsvFiles(str(tmp_path / "two")), after(pages[-1]))) == 1


@pytest.mark.parametrize("name", ["loop.csv", "x" * 5000])
async def test_a_path_that_leads_nowhere_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "loop.csv").symlink_to(tmp_path / "loop.csv")
    with pytest.raises(SourceRefusedError, match="CSV_PATH"):
        await pages_of(CsvFiles(str(tmp_path / name)))


async def test_more_files_than_a_position_can_hold_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingestor.sources.files.paths.MAX_FILES", 2)
    for name in "abc":
        numbered(tmp_path / f"{name}.csv", 1)
    with pytest.raises(SourceRefusedError, match="3 files are more than 2"):
        await pages_of(CsvFiles(str(tmp_path)))
