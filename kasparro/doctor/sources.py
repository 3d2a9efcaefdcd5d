"""The sources: what each gives now, read and normalised by the code of a run; nothing is stored."""

import contextlib
import time

import anyio
import anyio.lowlevel
import msgspec

from common.settings import Settings, SettingsError
from db.notes import Note, gathered
from ingestor.http.egress import egress_of
from ingestor.run.identity import read_identities
from ingestor.run.sample import names_sample
from ingestor.sources import create_sources, source_specs
from ingestor.sources.errors import SourceError, SourceMalformedError, SourceUnavailableError
from ingestor.sources.records import ExplainsNoPage, Page, RecordError, Source
from kasparro.cli.common.terminal import with_count
from kasparro.doctor.clock import check_clock
from kasparro.doctor.findings import Finding

PATIENCE_SECONDS = 20.0
AT_ONCE = 100
"""Records that are normalised before the other sources have their turn."""
FILE_SECONDS = 10.0
"""After so long no further page of a file is read."""
MAX_NOTES = 10
"""Of one source; the others are counted."""
NETWORK = (
    "see that this machine gets there (network, DNS, HTTPS_PROXY) and that the URL is right; "
    "the other sources go on without it"
)
SAMPLE_REMEDY = "set CSV_PATH to files of your own, or leave it out"
MORE_NOTES = "`kasparro status --json` lists the notes of the last run"
PAUSE = "nothing: it is asked again then; a key or a larger plan may allow more calls"


async def check_sources(settings: Settings) -> list[Finding]:
    """Check every configured source, the identities, and the clock against the providers."""
    try:
        sources = create_sources(settings)
        read_identities(settings.identity_path)
    except SettingsError as error:
        return [Finding("fail", "Sources", str(error), "correct that setting")]
    found: dict[str, list[Finding]] = {}

    async def check(source: Source) -> None:
        found[source.name] = await _check(source)

    async with anyio.create_task_group() as group:
        for source in sources:
            group.start_soon(check, source)
    if (
        "csv" in found
        and not settings.demo
        and names_sample(settings.csv_path or str(settings.csv_folder))
    ):
        sample = "CSV_PATH names the sample: the prices in it are invented"
        found["csv"] = [Finding("warn", "csv", sample, SAMPLE_REMEDY)]
    clock = (
        [await check_clock(_provider_urls(settings), egress_of(settings))]
        if any(source.kind == "api" for source in sources)
        else []
    )
    return [*(finding for source in sources for finding in found[source.name]), *clock]


class _Seen(msgspec.Struct):
    """What a source gave: records, how many of them cannot be read, notes; `whole` where that is all that it has."""

    records: int = 0
    rejected: int = 0
    notes: list[Note] = []
    whole: bool = True
    seconds: float = 0.0


async def _check(source: Source) -> list[Finding]:
    try:
        seen = await _look(source)
    except SourceError as error:
        return [_failed(source, error)]
    except TimeoutError:
        remedy = NETWORK if source.kind == "api" else "a run may take RUN_TIMEOUT_SECONDS for it"
        return [Finding("fail", source.name, f"no answer within {PATIENCE_SECONDS:g} s", remedy)]
    finally:
        await source.close()
    why = source.why_no_page() if isinstance(source, ExplainsNoPage) else None
    if why is not None:
        return [Finding("ok", source.name, why)]
    return [_answered(source, seen), *_noted(source, seen.notes)]


def _failed(source: Source, error: SourceError) -> Finding:
    if isinstance(error, SourceUnavailableError):
        return Finding(
            "fail", source.name, str(error), NETWORK if error.retry_at is None else PAUSE
        )
    if isinstance(error, SourceMalformedError):
        return Finding("fail", source.name, f"{error}{f'; {error.seen}' if error.seen else ''}")
    return Finding("fail", source.name, str(error))  # it says what to change


async def _look(source: Source) -> _Seen:
    """Read the first page of a provider, and of files what FILE_SECONDS allow.

    Raises SourceError and TimeoutError.
    """
    seen, started = _Seen(), time.monotonic()
    with anyio.fail_after(PATIENCE_SECONDS):
        async with contextlib.aclosing(source.pages(None, full=True)) as pages:
            async for page in pages:
                await _add(seen, source, page)
                seen.seconds = time.monotonic() - started
                if source.kind == "api" or seen.seconds > FILE_SECONDS:
                    seen.whole = page.sweep_groups is not None
                    break
    return seen


async def _add(seen: _Seen, source: Source, page: Page) -> None:
    seen.records += len(page.records) + len(page.rejections)
    seen.rejected += len(page.rejections)
    notes = [*seen.notes, *page.notes]
    for number, record in enumerate(page.records):
        if number % AT_ONCE == 0:
            await anyio.lowlevel.checkpoint()
        try:
            notes += source.to_listing(record, page.fetched_at).notes
        except RecordError:
            seen.rejected += 1
    seen.notes = gathered(notes)


def _answered(source: Source, seen: _Seen) -> Finding:
    where = (
        " in its first page"
        if source.kind == "api"
        else ""
        if seen.whole
        else " in what was read of it"
    )
    text = f"{seen.records:,} records{where}, {seen.seconds:.1f} s"
    if seen.rejected:
        return Finding(
            "warn",
            source.name,
            f"{text}, {seen.rejected:,} of them unreadable",
            "look at them after a run",
        )
    return Finding("ok", source.name, text)


def _noted(source: Source, notes: list[Note]) -> list[Finding]:
    """Return a line for each note, and one for those beyond MAX_NOTES."""
    found = [Finding("warn", source.name, with_count(note)) for note in notes[:MAX_NOTES]]
    beyond = len(notes) - MAX_NOTES
    if beyond > 0:
        found.append(Finding("warn", source.name, f"and {beyond:,} more notes", MORE_NOTES))
    return found


def _provider_urls(settings: Settings) -> list[str]:
    urls = (spec.provider_url(settings) for spec in source_specs(settings.sources))
    return [url for url in urls if url is not None]
