"""Check the clock against a provider's Date header (RFC 9110, section 6.6.1)."""

import datetime
import email.utils

import aiohttp
from yarl import URL

from ingestor.http.egress import Egress
from ingestor.sources.errors import SourceRefusedError
from kasparro.doctor.findings import Finding

TOLERANCE = datetime.timedelta(seconds=30)
TOO_FAR = datetime.timedelta(minutes=5)
"""The ingestor limits observation times further ahead than this: such a clock spoils data."""
TIMEOUT_SECONDS = 10.0
REMEDY = "set the clock, for example with `timedatectl set-ntp true`"


async def check_clock(urls: list[str], egress: Egress) -> Finding:
    """Ask the providers for the time, one after the other, until one answers with it."""
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
    try:
        session = egress.open_session(timeout=timeout)
    except SourceRefusedError as error:
        return Finding("warn", "Clock", str(error), "correct that setting")
    async with session:
        for url in urls:
            ahead = await _ahead(session, URL(url), egress)
            if ahead is not None:
                return clock_finding(url, ahead)
    return Finding("warn", "Clock", "no provider sent its time", "see the lines on the sources")


def clock_finding(whose: str, ahead: datetime.timedelta) -> Finding:
    """Return the finding for another clock that is `ahead` of ours."""
    seconds = round(abs(ahead).total_seconds())
    relation = "behind" if ahead > datetime.timedelta() else "ahead of"
    text = f"this machine is {seconds} s {relation} {whose}"
    if abs(ahead) > TOO_FAR:
        return Finding("fail", "Clock", text, REMEDY)
    if abs(ahead) > TOLERANCE:
        return Finding("warn", "Clock", text, REMEDY)
    return Finding("ok", "Clock", f"agrees with {whose}")


async def _ahead(
    session: aiohttp.ClientSession, url: URL, egress: Egress
) -> datetime.timedelta | None:
    """Return how far the clock behind `url` is ahead of ours, None if it does not say."""
    try:
        async with session.head(
            url, allow_redirects=False, **egress.request_options(url)
        ) as response:
            then = email.utils.parsedate_to_datetime(response.headers["Date"])
    except (aiohttp.ClientError, TimeoutError, KeyError, ValueError):
        return None
    return then - datetime.datetime.now(datetime.UTC)
