"""What a check finds."""

import msgspec

from db.source_files import FileReport

__all__ = ["CheckResult", "CheckedFile", "RejectedRow"]


class RejectedRow(msgspec.Struct, frozen=True):
    """A row that is not read: its first line (in JSON and Parquet its number), why, its text."""

    line: int
    error: str
    text: str


class CheckedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file as it would be read; without a report if it cannot be opened as a table.

    `failure` is the reason, with details, if the source would not read the file; else None.
    """

    path: str
    report: FileReport | None = None
    rejections: tuple[RejectedRow, ...] = ()
    coins: int = 0
    failure: str | None = None


class CheckResult(msgspec.Struct, frozen=True, kw_only=True):
    """All files; `coins_changed` is None if it is unknown, and `not_counted` says why."""

    files: list[CheckedFile]
    coins: int
    coins_changed: int | None = None
    not_counted: str | None = None

    @property
    def is_clean(self) -> bool:
        """Return whether every row of every file is read."""
        reports = [file.report for file in self.files]
        return all(report is not None and not report.rejected for report in reports) and not any(
            file.failure for file in self.files
        )
