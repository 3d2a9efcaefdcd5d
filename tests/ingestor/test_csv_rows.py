"""Rows and their offsets: every byte of a file belongs to one row, whatever it holds."""

import csv
import gzip
import io
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestor.sources.errors import SourceMalformedError, SourceRefusedError
from ingestor.sources.files.blocks import plain_rows
from ingestor.sources.files.rows import RowReader
from ingestor.sources.files.tables.table import Row


def rows_of(path: Path, *, width: int | None = None, offset: int = 0) -> list[Row]:
    reader = RowReader(path)
    reader.width = width
    try:
        if offset:
            reader.seek(offset)
        rows = []
        while (row := reader.read()) is not None:
            rows.append(row)
        return rows
    finally:
        reader.close()


def rows_in(content: bytes, folder: Path, *, width: int | None = None) -> list[Row]:
    path = folder / "a.csv"
    path.write_bytes(content)
    return rows_of(path, width=width)


def cells_in(content: bytes, folder: Path, *, width: int | None = None) -> list[list[str]]:
    return [row.cells for row in rows_in(content, folder, width=width) if row.error is None]


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_rows_are_read_with_both_line_ends_a_bom_and_blank_lines(
    tmp_path: Path, end: bytes
) -> None:
    content = end.join([b"\xef\xbb\xbfsymbol,price", b"", b"BTC,1", b"   ", b"ETH,2"])
    assert cells_in(content, tmp_path) == [["symbol", "price"], ["BTC", "1"], ["ETH", "2"]]


def test_a_quoted_cell_may_hold_commas_quotes_and_line_ends(tmp_path: Path) -> None:
    content = b'a,b\n"x, ""y""\nz",1\n"""{\'id\': \'bitcoin\', \'platforms\': {}}""",2\n'
    assert cells_in(content, tmp_path) == [
        ["a", "b"],
        ['x, "y"\nz', "1"],
        ["\"{'id': 'bitcoin', 'platforms': {}}\"", "2"],
    ]


def test_a_merge_marker_costs_its_own_line_only(tmp_path: Path) -> None:
    content = (
        b"a,b\n<<<<<<< HEAD\n1,2\n||||||| base\n5,6\n=======\n3,4\n>>>>>>> branch, with comma\n"
    )
    rows = rows_in(content, tmp_path, width=2)
    assert [row.cells for row in rows if row.error is None] == [
        ["a", "b"],
        ["1", "2"],
        ["5", "6"],
        ["3", "4"],
    ]
    bad = [row for row in rows if row.error]
    assert all("merge marker" in str(row.error) for row in bad)
    assert [row.raw for row in bad] == [
        b"<<<<<<< HEAD\n", b"||||||| base\n", b"=======\n", b">>>>>>> branch, with comma\n",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (b"1", "The row has 1 cells, the header 2"),
        (b"1,2,3", "The row has 3 cells, the header 2"),
        (b"1,\x00", "The row holds a NUL byte"),
        (b"1,\xff", "The row is not UTF-8: invalid start byte at byte 2"),
        (b'1,"x"y', "The row is not CSV: ',' expected after '\"'"),
        (b"1,2\rx", "The row is not CSV: new-line character seen in unquoted field"),
        (
            b'1,"' + b"x" * 200_000 + b'"',
            "The row is not CSV: field larger than field limit (131072)",
        ),
    ],
)
def test_a_row_that_cannot_be_read_costs_no_other(tmp_path: Path, line: bytes, error: str) -> None:
    rows = rows_in(b"a,b\n1,2\n" + line + b"\n3,4\n", tmp_path, width=2)
    assert [row.cells for row in rows if row.error is None] == [["a", "b"], ["1", "2"], ["3", "4"]]
    (bad,) = [row for row in rows if row.error]
    assert bad.raw == line + b"\n"
    assert str(bad.error).startswith(error)


@pytest.mark.parametrize("tail", [b"", b'ETH,"2"\n', b'ETH,"2\n', b"SOL,3\n" * 50_000])
def test_a_quote_that_is_never_closed_costs_its_own_line_only(tmp_path: Path, tail: bytes) -> None:
    rows = rows_in(b'a,b\nBTC,"1\nDOGE,4\n' + tail, tmp_path, width=2)
    assert rows[1].raw == b'BTC,"1\n'
    assert str(rows[1].error).startswith("The row is not CSV")
    assert rows[2].cells == ["DOGE", "4"]
    assert b"".join(row.raw for row in rows) == b'a,b\nBTC,"1\nDOGE,4\n' + tail


def test_a_row_without_end_is_given_up(tmp_path: Path) -> None:
    lines = [b'"x\n', *[b'","x\n'] * 5_000, b'",1\n', b"1,2\n"]
    rows = rows_in(b"a,b\n" + b"".join(lines), tmp_path, width=2)
    assert rows[1].raw == lines[0]
    assert rows[1].error == "The row is not CSV: more than 100 lines"
    assert b"".join(row.raw for row in rows[1:]) == b"".join(lines)
    assert rows[-1].cells == ["1", "2"]


def test_a_line_without_end_is_no_csv(tmp_path: Path) -> None:
    with pytest.raises(
        SourceMalformedError,
        match=r"a\.csv: a line is longer than 1,048,576 bytes; is this a CSV file",
    ):
        rows_in(b"a,b\n" + b"x" * 2_000_000, tmp_path)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_is_read(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text("symbol,price\nBTC,1\nΩ,2\n" * 20_000, encoding=encoding)
    reader = RowReader(path)
    rows = list(iter(reader.read, None))
    assert [row.cells for row in rows[:3]] == [["symbol", "price"], ["BTC", "1"], ["Ω", "2"]]
    assert (len(rows), any(row.error for row in rows)) == (60_000, False)
    reader.seek(len(b"symbol,price\n"))
    assert reader.read() == rows[1]
    reader.close()


def test_a_gzip_file_is_told_by_its_first_bytes_whatever_its_name(tmp_path: Path) -> None:
    assert cells_in(gzip.compress(b"a,b\n1,2\n"), tmp_path) == [["a", "b"], ["1", "2"]]


@pytest.mark.parametrize("damage", ["cut", "spoiled", "checksum"])
def test_a_broken_gzip_file_is_malformed(tmp_path: Path, damage: str) -> None:
    packed = bytearray(
        gzip.compress(
            b"".join(b"%d,%s\n" % (n, os.urandom(8).hex().encode()) for n in range(20_000))
        )
    )
    if damage == "cut":
        del packed[-1000:]
    elif damage == "checksum":
        packed[-6] ^= 0xFF
    else:
        packed[5000:5100] = bytes(100)
    with pytest.raises(SourceMalformedError, match=r"a\.csv is not a whole gzip file"):
        rows_in(bytes(packed), tmp_path)


def test_a_file_that_is_gone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        SourceRefusedError, match=r"none\.csv: No such file or directory; check CSV_PATH"
    ):
        RowReader(tmp_path / "none.csv")


def test_an_offset_behind_the_end_of_a_broken_gzip_file_is_malformed(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(gzip.compress(os.urandom(100_000))[:50_000])
    with pytest.raises(SourceMalformedError, match=r"a\.csv is not a whole gzip file"):
        rows_of(path, offset=90_000)


LINES = st.lists(
    st.lists(st.text(alphabet='ab,"\n\r é🟥', max_size=6), min_size=2, max_size=4),
    min_size=1,
    max_size=8,
)


@given(LINES, st.booleans(), st.sampled_from(["\n", "\r\n"]))
def test_reading_can_go_on_behind_any_row(
    tmp_path_factory: pytest.TempPathFactory,
    lines: list[list[str]],
    packed: bool,  # noqa: FBT001 - hypothesis names its arguments
    end: str,
) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator=end, quoting=csv.QUOTE_ALL).writerows(lines)
    content = text.getvalue().encode()
    path = tmp_path_factory.getbasetemp() / "going-on.csv"
    path.write_bytes(gzip.compress(content) if packed else content)
    rows = rows_of(path)
    assert [row.cells for row in rows] == lines
    assert b"".join(row.raw for row in rows) == content
    offset = 0
    for number, row in enumerate(rows):
        assert rows_of(path, offset=offset) == rows[number:]
        offset += len(row.raw)


def solid_lines(content: bytes) -> list[bytes]:
    return [line for line in content.split(b"\n") if line.strip()]


@given(
    st.lists(
        st.sampled_from([b'"', b",", b"\n", b"\r", b"x", b"\x00", b"\xff", b"<<<<<<<", b" "]),
        max_size=60,
    )
)
def test_no_byte_of_any_file_is_lost(
    tmp_path_factory: pytest.TempPathFactory, noise: list[bytes]
) -> None:
    path = tmp_path_factory.getbasetemp() / "noise.csv"
    path.write_bytes(b"a,b\n" + b"".join(noise) + b'\n"1",2\n')
    rows = rows_of(path, width=2)
    assert solid_lines(b"".join(row.raw for row in rows)) == solid_lines(path.read_bytes())
    assert all(len(row.cells) == 2 for row in rows if row.error is None)


PIECES = (
    *(
        b"a",
        b"b,1\n",
        b"c,2\n",
        b"d,3\r\n",
        b"'=e,4\n",
        b",",
        b"\n",
        b"\r",
        b" ",
        b'"',
        b'"f,\ng",5\n',
        b"\x00",
        b"\xff",
    ),
    *(b"\xef\xbb\xbf", b"<<<<<<< h\n", "\u2028\x85\x0b,6\n".encode()),
)


@given(st.lists(st.sampled_from(PIECES), max_size=40), st.integers(1, 12))
def test_blocks_of_plain_lines_are_read_as_one_row_after_the_other(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes], block_bytes: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "blocks.csv"
    path.write_bytes(b"".join(pieces))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ingestor.sources.files.rows.BLOCK_BYTES", block_bytes)
        by_block = rows_of(path, width=2)
        patch.setattr("ingestor.sources.files.rows.plain_rows", lambda *_: None)
        assert by_block == rows_of(path, width=2)


def test_plain_lines_are_read_by_the_block() -> None:
    block = "a,1\n\nb c,2\r\n'=d,\u00e9".encode()
    rows = plain_rows(block, ",", 2)
    assert rows is not None
    assert [row.cells for row in rows] == [["a", "1"], [], ["b c", "2"], ["=d", "\u00e9"]]
    assert b"".join(row.raw for row in rows) == block
