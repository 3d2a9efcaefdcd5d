"""Check the sources: read and normalise what each gives now, as a run does, and store nothing."""

import contextlib
import time

import anyio
import anyio.lowlevel
import msgspec

from common.settings import Settings, SettingsError
from db.notes import Note, merge_notes
from ingestor.http.egress import egress_of
from ingestor.run.identity import read_identities
from ingestor.run.sample import names_sample
from ingestor.sources import create_sources, source_specs
from ingestor.sources.errors import SourceError, SourceUnavailableError
from ingestor.sources.records import ExplainsNoPage, Page, RecordError, Source
from kasparro.cli.common.terminal import with_count
from kasparro.doctor.clock import check_clock
from kasparro.doctor.findings import Finding

TIMEOUT_SECONDS = 20.0
YIELD_EVERY = 100
"""Records that are normalised before the other checks continue."""
FILE_SECONDS = 10.0
"""After this time no further page of a file is read."""
MAX_NOTES = 10
"""Notes of one source that are shown; the others are counted."""
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


class _SourceSummary(msgspec.Struct):
    """Counts of a source's records and rejections, and its notes; `whole` if all of it was read."""

    records: int = 0
    rejected: int = 0
    notes: list[Note] = []
    whole: bool = True
    seconds: float = 0.0


async def _check(source: Source) -> list[Finding]:
    try:
        summary = await _read_source(source)
    except SourceError as error:
        return [_error_finding(source, error)]
    except TimeoutError:
        remedy = NETWORK if source.kind == "api" else "a run may take RUN_TIMEOUT_SECONDS for it"
        return [Finding("fail", source.name, f"no answer within {TIMEOUT_SECONDS:g} s", remedy)]
    finally:
        await source.close()
    why = source.why_no_page() if isinstance(source, ExplainsNoPage) else None
    if why is not None:
        return [Finding("ok", source.name, why)]
    return [_records_finding(source, summary), *_note_findings(source, summary.notes)]


def _error_finding(source: Source, error: SourceError) -> Finding:
    if isinstance(error, SourceUnavailableError):
        return Finding(
            "fail", source.name, str(error), NETWORK if error.retry_at is None else PAUSE
        )
    return Finding("fail", source.name, error.in_full)  # it says what to change


async def _read_source(source: Source) -> _SourceSummary:
    """Read the first page of a provider, or as much of files as FILE_SECONDS allow.

    Raises SourceError and TimeoutError.
    """
    summary, started = _SourceSummary(), time.monotonic()
    with anyio.fail_after(TIMEOUT_SECONDS):
        async with contextlib.aclosing(source.pages(None, full=True)) as pages:
            async for page in pages:
                await _count_page(summary, source, page)
                summary.seconds = time.monotonic() - started
                if source.kind == "api" or summary.seconds > FILE_SECONDS:
                    summary.whole = page.sweep_groups is not None
                    break
    return summary


async def _count_page(summary: _SourceSummary, source: Source, page: Page) -> None:
    summary.records += len(page.records) + len(page.rejections)
    summary.rejected += len(page.rejections)
    notes = [*summary.notes, *page.notes]
    for number, record in enumerate(page.records):
        if number % YIELD_EVERY == 0:
            await anyio.lowlevel.checkpoint()
        try:
            notes += source.to_listing(record, page.fetched_at).notes
        except RecordError:
            summary.rejected += 1
    summary.notes = merge_notes(notes)


def _records_finding(source: Source, summary: _SourceSummary) -> Finding:
    where = (
        " in its first page"
        if source.kind == "api"
        else ""
        if summary.whole
        else " in what was read of it"
    )
    text = f"{summary.records:,} records{where}, {summary.seconds:.1f} s"
    if summary.rejected:
        return Finding(
            "warn",
            source.name,
            f"{text}, {summary.rejected:,} of them unreadable",
            "look at them after a run",
        )
    return Finding("ok", source.name, text)


def _note_findings(source: Source, notes: list[Note]) -> list[Finding]:
    """Return a line for each note, and one for those beyond MAX_NOTES."""
    found = [Finding("warn", source.name, with_count(note)) for note in notes[:MAX_NOTES]]
    beyond = len(notes) - MAX_NOTES
    if beyond > 0:
        found.append(Finding("warn", source.name, f"and {beyond:,} more notes", MORE_NOTES))
    return found


def _provider_urls(settings: Settings) -> list[str]:
    urls = (spec.provider_url(settings) for spec in source_specs(settings.sources))
    return [url for url in urls if url is not None]
