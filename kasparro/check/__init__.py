"""What the csv source would read of files, found by its own code; nothing is written."""

from collections.abc import Sequence

import anyio.lowlevel

from common.settings import Settings
from ingestor.sources.errors import SourceError, SourceMalformedError
from ingestor.sources.files.paths import CsvFile
from ingestor.sources.files.reading import CsvReading
from kasparro.check.comparison import Comparison
from kasparro.check.found import STDIN, found_files
from kasparro.check.results import CheckedFile, CheckResult, RejectedRow
from kasparro.check.rows import CheckedRows

__all__ = ["STDIN", "CheckResult", "CheckedFile", "RejectedRow", "check_paths"]


async def check_paths(paths: Sequence[str], settings: Settings) -> CheckResult:
    """Read `paths` as the source `csv` would: values of CSV_PATH, or `-` for standard input.

    Raises RefusedError where one names no file.
    """
    with found_files(paths) as files:
        async with Comparison.opened(settings) as comparison:
            tickers: set[str] = set()
            checked = [await _check(file, comparison, tickers) for file in files]
            changed = await comparison.changed(settings)
            return CheckResult(
                files=checked,
                coins=len(tickers),
                coins_changed=changed,
                not_counted=comparison.not_counted,
            )


async def _check(file: CsvFile, comparison: Comparison, tickers: set[str]) -> CheckedFile:
    path = str(file.path)
    try:
        reading = CsvReading(file, file.identity.mtime_ns)
    except SourceError as error:
        return CheckedFile(path=path, failure=_full_message(error))
    rows = CheckedRows(file, reading)
    failure = None
    try:
        while not rows.ended:
            listings = rows.read()
            rows.check_first()
            await comparison.add(listings)
            await anyio.lowlevel.checkpoint()
    except SourceError as error:
        failure = _full_message(error)
    finally:
        reading.close()
        rows.close()
    tickers |= rows.tickers
    return CheckedFile(
        path=path,
        report=rows.report(),
        rejections=tuple(rows.rejections),
        coins=len(rows.tickers),
        failure=failure,
    )


def _full_message(error: SourceError) -> str:
    detail = error.private_detail if isinstance(error, SourceMalformedError) else None
    return f"{error}; {detail}" if detail else str(error)
