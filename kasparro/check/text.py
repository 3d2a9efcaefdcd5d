"""A check's result as lines for a person."""

import datetime
from collections.abc import Iterator, Sequence
from decimal import Decimal

from rich.cells import cell_len

from common.display import sanitize
from db.source_files import FileReport, FirstListing
from kasparro.check.results import CheckedFile, CheckResult

__all__ = ["lines_of"]

SHOWN = 5
"""Notes about cells, and rejected rows, that the text report shows for a file; --json has more."""
_SHOWN_ALWAYS = ("ticker", "name", "price_usd")
_FIGURES = (
    "market_cap_usd",
    "volume_24h_usd",
    "percent_change_24h",
    "rank",
    "circulating_supply",
    "total_supply",
    "max_supply",
)


def lines_of(result: CheckResult) -> Iterator[str]:
    """Yield the lines; they may hold control characters, which the caller escapes."""
    for file in result.files:
        yield from _file(file)
        yield ""
    if len(result.files) > 1:
        yield f"{_counted(len(result.files), 'file')}, {_counted(result.coins, 'coin')}"
    if result.coins_changed is None:
        yield f"How many coins would change is not known: {result.not_counted}"
    else:
        yield f"{_counted(result.coins_changed, 'coin')} would change"


def _file(file: CheckedFile) -> Iterator[str]:
    report = file.report
    if report is None:
        yield f"{file.path} is not read"
        yield f"  {file.failure}"
        return
    yield f"{file.path}: {report.form.summary}"
    yield from _part(
        "read", [(column.role, column.header or "", column.how) for column in report.columns]
    )
    if report.unread:
        more = report.unread_count - len(report.unread)
        yield from _part(
            "not read", [(", ".join(report.unread) + (f" and {more:,} more" if more else ""),)]
        )
    if report.first:
        yield from _part("first rows", _first_rows(report))
    # Columns that are not read are named above.
    notes = [note for note in report.notes if note.about != "columns"]
    yield from _part("notes", [(f"{note.text}{_times(note.count)}",) for note in notes])
    yield from _rejected(file, report)
    rows, coins = _counted(report.rows, "row"), _counted(file.coins, "coin")
    counts = f"{rows}, {report.rejected:,} rejected, {coins}"
    yield f"  {counts}"
    if file.failure:
        yield f"  The file is not read: {file.failure}"


def _rejected(file: CheckedFile, report: FileReport) -> Iterator[str]:
    if not report.rejected:
        return
    yield "  rejected"
    where = "line" if report.form.kind == "csv" else "row"
    for row in file.rejections[:SHOWN]:
        yield f"    {where} {row.line:,}: {row.error}"
        yield f"      {row.text}"
    if (more := report.rejected - len(file.rejections[:SHOWN])) > 0:
        yield f"    and {more:,} more"


def _first_rows(report: FileReport) -> list[tuple[str, ...]]:
    figures = [
        name
        for name in _FIGURES
        if any(getattr(listing, name) is not None for listing in report.first)
    ]
    names = [*_SHOWN_ALWAYS, *figures]
    rows = [
        (*(_cell(getattr(listing, name)) for name in names), _when(listing))
        for listing in report.first
    ]
    return [(*names, "observed_at"), *rows]


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return format(Decimal(str(value)), "f") if isinstance(value, float) else str(value)


def _when(listing: FirstListing) -> str:
    moment = listing.observed_at.astimezone(datetime.UTC).isoformat(" ").replace("+00:00", "Z")
    return moment if listing.has_own_time else f"{moment} (the file's)"


def _part(title: str, rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """Yield a title and rows with aligned cells."""
    if not rows:
        return
    yield f"  {title}"
    shown = [tuple(map(sanitize, row)) for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(*shown, strict=True)]
    for row in shown:
        cells = (
            cell + " " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True)
        )
        yield f"    {'  '.join(cells)}".rstrip()


def _times(count: int) -> str:
    return f" ({count:,} times)" if count > 1 else ""


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun if count == 1 else noun + 's'}"
