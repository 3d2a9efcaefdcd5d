"""Times of sources: ISO 8601, counts since 1970, RFC 2822, and dates in other forms."""

import datetime
import email.utils
import functools
import re
import zoneinfo
from decimal import Decimal

from ingestor.sources.records import RecordError

__all__ = ["infer_day_first", "parse_time", "time_text"]

_EPOCH = re.compile(r"\d{9,19}(\.\d+)?")
_FIRST_SECOND, _LAST_SECOND = 100_000_000, 4_102_444_800
"""1973 and the year 2100.

A count beyond them is of a smaller unit: each is a thousandth of the one before.
"""
_UNITS = (1, 1_000, 1_000_000, 1_000_000_000)

_ZONE_NAME = re.compile(
    r"\s*(?:\(?(?:UTC|GMT)\)?(?P<offset>[+-]\d{1,2}(?::?\d{2})?)?|Z)$", re.IGNORECASE
)
_SPACED_OFFSET = re.compile(r"\s+(?=[+-]\d{2}:?\d{2}$)")
_FRACTION = re.compile(r"(?<=:\d\d)[.,](\d+)")
_CLOCK = (
    r"(?:[T ,]+(?P<hour>\d{1,2})(?::(?P<minute>\d{2})"
    r"(?::(?P<second>\d{2})(?:[.,](?P<part>\d{1,9}))?)?)?"
    r"[\s-]*(?P<half>[AaPp]\.?[Mm]\.?)?)?"
)
_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            ("jan", "january"), ("feb", "february"), ("mar", "march"), ("apr", "april"),
            ("may",), ("jun", "june"),
            ("jul", "july"), ("aug", "august"), ("sep", "sept", "september"), ("oct", "october"),
            ("nov", "november"), ("dec", "december"),
        ), start=1
    )
    for name in names
}  # fmt: skip
_MONTH_NAME = re.compile(r"\b(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)", re.IGNORECASE)
_NAMED = tuple(
    re.compile(rf"(?:[A-Za-z]{{3,9}}\.?,?\s+)?{date}{_CLOCK}", re.ASCII)
    for date in (
        r"(?P<month>[A-Za-z]{3,9})\.?\s+(?P<day>\d{1,2})(?:st|nd|rd|th)?,?\s+(?P<year>\d{4})",
        r"(?P<day>\d{1,2})(?:st|nd|rd|th)?[\s-]+(?P<month>[A-Za-z]{3,9})\.?,?[\s-]+(?P<year>\d{4})",
        r"(?P<year>\d{4})[\s-]+(?P<month>[A-Za-z]{3,9})\.?[\s-]+(?P<day>\d{1,2})",
    )
)
_YEAR_FIRST = re.compile(
    rf"(?P<year>\d{{4}})[/.-](?P<month>\d{{1,2}})[/.-](?P<day>\d{{1,2}}){_CLOCK}", re.ASCII
)
_YEAR_LAST = re.compile(
    rf"(?P<first>\d{{1,2}})(?P<mark>[/.-])(?P<second_number>\d{{1,2}})(?P=mark)(?P<year>\d{{4}}){_CLOCK}",
    re.ASCII,
)


@functools.lru_cache(maxsize=1_024)  # records that were observed together come together
def parse_time(
    text: str, path: str, *, day_first: bool | None = None, zone: datetime.tzinfo = datetime.UTC
) -> datetime.datetime:
    """Return the instant in UTC that a text names; `zone` is that of a time that names none.

    A count since 1970 may be of seconds, milliseconds, microseconds or nanoseconds. `day_first`
    says how `01/02/2026` is read; without it such a date is refused. Raises RecordError with
    `path`.
    """
    stripped = text.strip()
    try:
        moment = _count(stripped) if _EPOCH.fullmatch(stripped) else _date(stripped, day_first)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=zone)
        return moment.astimezone(datetime.UTC)
    except (ValueError, OverflowError) as error:
        reason = f": {error}" if isinstance(error, _AmbiguousError) else ""
        raise RecordError(f"{stripped[:40]!r} is not a time{reason} - at `{path}`") from None


def time_text(value: str | float | None) -> str:
    """Return a JSON time for `parse_time`: a number counts since 1970, null is ""."""
    if value is None or isinstance(value, str):
        return value or ""
    return format(Decimal(repr(value)), "f")  # never 1.7644608e+18


class _AmbiguousError(ValueError):
    """A date can be read in two ways; the message says which."""


def _count(text: str) -> datetime.datetime:
    whole, _, fraction = text.partition(".")
    unit = next(
        (unit for unit in _UNITS if _FIRST_SECOND <= int(whole) // unit < _LAST_SECOND), None
    )
    if unit is None:
        raise ValueError("digits, but no count of time")  # 20230110120000 is a date run together
    microseconds = int(whole) * 1_000_000 // unit + (
        int((fraction + "000000")[:6]) // unit if fraction else 0
    )
    return datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC) + datetime.timedelta(
        microseconds=microseconds
    )


def _date(text: str, day_first: bool | None) -> datetime.datetime:  # noqa: FBT001 - private
    text = _SPACED_OFFSET.sub("", text)
    zone: datetime.tzinfo | None = None
    if match := _ZONE_NAME.search(text):
        text = text[: match.start()]
        zone = datetime.datetime.fromisoformat(f"2000-01-01T00:00{_offset(match['offset'])}").tzinfo
    moment = _iso(text) or _numbers(text, day_first) or _named(text) or _rfc_2822(text)
    if moment is None:
        raise ValueError("no date")
    return moment if zone is None else moment.replace(tzinfo=zone)


def _offset(text: str | None) -> str:
    if not text:
        return "+00:00"
    hours, minutes = (
        text[1:].replace(":", "").ljust(4, "0") if len(text) > 3 else text[1:].zfill(2) + "00",  # noqa: PLR2004 - a sign and two digits
    ) * 2
    return f"{text[0]}{hours[:2]}:{minutes[2:]}"


def _iso(text: str) -> datetime.datetime | None:
    try:
        # Seconds may have any number of decimals; datetime takes six.
        return datetime.datetime.fromisoformat(
            _FRACTION.sub(lambda match: f".{match[1][:6].ljust(6, '0')}", text)
        )
    except ValueError:
        return None


def _named(text: str) -> datetime.datetime | None:
    for form in _NAMED:
        match = form.fullmatch(text)
        if match is not None and (month := _MONTHS.get(match["month"].lower())):
            return _built(match, int(match["year"]), month, int(match["day"]))
    return None


# Private.
def _numbers(text: str, day_first: bool | None) -> datetime.datetime | None:  # noqa: FBT001
    if match := _YEAR_FIRST.fullmatch(text):
        return _built(match, int(match["year"]), int(match["month"]), int(match["day"]))
    match = _YEAR_LAST.fullmatch(text)
    if match is None:
        return None
    first, second = int(match["first"]), int(match["second_number"])
    shown = True if match["mark"] == "." else infer_day_first(text)
    order = shown if day_first is None else day_first
    if order is None and first != second:
        raise _AmbiguousError("the day or the month may come first; say day_first in csv.toml")
    day, month = (first, second) if order else (second, first)
    return _built(match, int(match["year"]), month, day)


def infer_day_first(text: str) -> bool | None:
    """Return whether the day comes first in `31/01/2026`; None if the text does not show it."""
    match = _YEAR_LAST.fullmatch(text.strip())
    if match is None:
        return None
    first, second = int(match["first"]), int(match["second_number"])
    if match["mark"] == ".":
        return True
    return None if max(first, second) <= 12 else first > 12  # noqa: PLR2004 - the months of a year


def _built(match: re.Match[str], year: int, month: int, day: int) -> datetime.datetime:
    hour = int(match["hour"] or 0)
    if match["hour"] and not (match["minute"] or match["half"]):
        raise ValueError("an hour alone")
    if half := match["half"]:
        if not 1 <= hour <= 12:  # noqa: PLR2004 - the hours of a half day
            raise ValueError("no hour of a half day")
        hour = hour % 12 + (12 if half[0] in "pP" else 0)
    microsecond = int((match["part"] or "0")[:6].ljust(6, "0"))
    return datetime.datetime(  # noqa: DTZ001 - the caller knows the zone
        year, month, day, hour, int(match["minute"] or 0), int(match["second"] or 0), microsecond
    )


def _rfc_2822(text: str) -> datetime.datetime | None:
    if ":" not in text or not _MONTH_NAME.search(text):
        return None  # the library reads far more as a date than people mean as one
    try:
        return email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None


def zone_named(name: str) -> datetime.tzinfo:
    """Return the time zone of an IANA name. Raises ValueError."""
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{name!r} is not a time zone; write one such as Europe/Berlin") from None
