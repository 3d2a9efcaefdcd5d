"""The sources: whether each gives its first page, read by the very code that reads it for good."""

import contextlib
import time

import anyio

from db.settings import Settings, SettingsError
from ingestor.egress import egress_of
from ingestor.errors import SourceError, SourceMalformedError, SourceUnavailableError
from ingestor.identity import read_identities
from ingestor.records import Explains, Source
from ingestor.sample import names_sample
from ingestor.sources import create_sources
from kasparro.doctor.clock import check_clock
from kasparro.doctor.findings import Finding

PATIENCE_SECONDS = 20.0
NETWORK = (
    "see that this machine gets there (network, DNS, HTTPS_PROXY) and that the URL is right; "
    "the other sources go on without it"
)
SAMPLE_REMEDY = "set CSV_PATH to files of your own, or leave it out"
PAUSE = "nothing: it is asked again then; a key or a larger plan may allow more calls"


async def check_sources(settings: Settings) -> list[Finding]:
    """Check every source that is set, side by side, the list of identities, and the clock against the providers."""
    try:
        sources = create_sources(settings)
        read_identities(settings.identity_path)
    except SettingsError as error:
        return [Finding("fail", "Sources", str(error), "correct that setting")]
    found: dict[str, Finding] = {}

    async def check(source: Source) -> None:
        found[source.name] = await _check(source)

    async with anyio.create_task_group() as group:
        for source in sources:
            group.start_soon(check, source)
    if "csv" in found and not settings.demo and names_sample(settings.csv_path or str(settings.csv_folder)):
        found["csv"] = Finding("warn", "csv", "CSV_PATH names the sample: the prices in it are invented", SAMPLE_REMEDY)
    clock = (
        [await check_clock(_provider_urls(settings), egress_of(settings))]
        if any(source.kind == "api" for source in sources)
        else []
    )
    return [*(found[source.name] for source in sources), *clock]


async def _check(source: Source) -> Finding:
    started = time.monotonic()
    try:
        with anyio.fail_after(PATIENCE_SECONDS):
            records, rejections = await _first_page(source)
            why = source.why_no_page() if isinstance(source, Explains) else None
    except SourceUnavailableError as error:
        return Finding("fail", source.name, str(error), NETWORK if error.retry_at is None else PAUSE)
    except SourceMalformedError as error:
        return Finding("fail", source.name, f"{error}{f'; {error.seen}' if error.seen else ''}")
    except SourceError as error:  # it says what to change
        return Finding("fail", source.name, str(error))
    except TimeoutError:
        return Finding("fail", source.name, f"no answer within {PATIENCE_SECONDS:g} s", NETWORK)
    finally:
        await source.close()
    if why is not None:
        return Finding("ok", source.name, why)
    return _answered(source, records, rejections, time.monotonic() - started)


def _answered(source: Source, records: int, rejections: int, seconds: float) -> Finding:
    text = f"{records:,} records in its first page, {seconds:.1f} s"
    if rejections:
        return Finding("warn", source.name, f"{text}, {rejections:,} of them unreadable", "look at them after a run")
    return Finding("ok", source.name, text)


async def _first_page(source: Source) -> tuple[int, int]:
    async with contextlib.aclosing(source.pages(None, full=True)) as pages:
        async for page in pages:
            return len(page.records) + len(page.rejections), len(page.rejections)
    return 0, 0


def _provider_urls(settings: Settings) -> list[str]:
    urls = {"coinpaprika": settings.coinpaprika_url, "coingecko": settings.coingecko_url}
    return [url for name, url in urls.items() if name in settings.sources]
