"""One reader decides whether a text is a date, and which time it means."""

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.times import TimeSpan, UnreadableTimeError, read_instant, read_span

DAY = datetime.timedelta(days=1)
DATES = st.dates(max_value=datetime.date(9999, 12, 30))


@given(DATES)
def test_every_spelling_of_a_date_means_the_whole_day(day: datetime.date) -> None:
    start = datetime.datetime.combine(day, datetime.time(), datetime.UTC)
    year, week, weekday = day.isocalendar()
    spellings = [f"{day}", f"{day}".replace("-", "")]
    if year <= 9999:
        spellings += [f"{year:04}-W{week:02}-{weekday}", f"{year:04}W{week:02}{weekday}"]
    for text in spellings:
        assert read_span(text) == TimeSpan(start, start + DAY - datetime.datetime.resolution), text


def test_a_week_means_its_seven_days() -> None:
    for text in ("2026-W48", "2026W48"):
        span = read_span(text)
        assert span.start == datetime.datetime(2026, 11, 23, tzinfo=datetime.UTC)
        assert span.end == datetime.datetime(2026, 11, 29, 23, 59, 59, 999999, tzinfo=datetime.UTC)


@given(st.datetimes(timezones=st.just(datetime.UTC)))
def test_a_date_time_is_an_instant(time: datetime.datetime) -> None:
    assert read_span(time.isoformat()) == TimeSpan(time, time)
    assert read_instant(time.replace(tzinfo=None).isoformat()) == time


def test_the_last_day_ends_with_time_itself() -> None:
    assert read_span("9999-12-31").end == datetime.datetime.max.replace(tzinfo=datetime.UTC)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2026-02-30",
        "2026-13-01",
        "2026-W54",
        "2026-02",
        "2026112911200",
        "2026-11-29x10:00",
        "2026-11-29T",
        "0001-01-01T00:00:00+14:00",
        "\u0662026-11-29",
        "2026-11-29\n",
    ],
)
def test_everything_else_is_refused_and_named(text: str) -> None:
    with pytest.raises(UnreadableTimeError, match="is not a date or time in ISO 8601"):
        read_span(text)


def test_an_instant_is_no_date() -> None:
    with pytest.raises(UnreadableTimeError):
        read_instant("2026-11-29")
