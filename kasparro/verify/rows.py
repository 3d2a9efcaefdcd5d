"""The checks that are one statement each: what must hold, and what to do if it does not."""

import datetime

import msgspec

from db.connect.types import Connection
from db.schema.partitions import Retention
from db.verify import counters, events, identity, storage
from db.verify.differences import CheckOutcome, Tally, find_differences
from db.verify.storage import Clocks

REPROCESS = "`kasparro reprocess` writes what the payloads say"
REPROCESS_FULL = "`kasparro reprocess --full` writes what the payloads and points say"
REPORT = "the database was changed by hand or a writer has a fault: restore a backup, or report it"
_LATE = datetime.timedelta(minutes=10)
"""A run that began so shortly after the oldest payload may have older ones."""


class CheckContext(msgspec.Struct, frozen=True):
    """What the checks need to know: clocks, retention, and from when on payloads are complete."""

    clocks: Clocks
    retention: Retention
    bodies_from: datetime.datetime | None

    @property
    def covered_from(self) -> datetime.datetime:
        """From when on each payload that was fetched is present."""
        kept = self.retention.oldest_raw(self.clocks.now)
        return max(kept, self.bodies_from or kept) + _LATE

    @property
    def rejections_from(self) -> datetime.datetime:
        """From when on each rejected record is present."""
        return self.retention.oldest_raw(self.clocks.now) + _LATE

    @property
    def raw_expired_before(self) -> datetime.datetime:
        """What the last deletion deleted."""
        return self.retention.oldest_raw(self.clocks.retention)


class RowCheck(msgspec.Struct, frozen=True):
    """A check that is one statement; `since` names the property of the context that it takes."""

    name: str
    rule: str
    remedy: str
    count: str
    find: str
    since: str | None = None

    async def run(self, connection: Connection, context: CheckContext, limit: int) -> CheckOutcome:
        """Run the check in the caller's snapshot."""
        tally = Tally(limit)
        tally.rows = await connection.fetchval(self.count)
        arguments = [] if self.since is None else [getattr(context, self.since)]
        await find_differences(connection, tally, self.find, *arguments, limit=limit)
        return tally.result(self.name, self.rule, self.remedy)


ROW_CHECKS = (
    RowCheck(
        "assets.keys",
        "the asset of a listing and of a coin is the key of a listing",
        REPROCESS,
        identity.COUNT_LISTINGS,
        identity.KEYS,
    ),
    RowCheck(
        "assets.bridges",
        "a ticker is bridged to the other tickers of its tokens, and to no others",
        REPROCESS,
        identity.COUNT_BRIDGES,
        identity.BRIDGES,
    ),
    RowCheck(
        "listings.pages",
        "an active listing is on a page of its source's newest sweep",
        "`kasparro trigger --full` reads the source from the start",
        identity.COUNT_LISTINGS,
        counters.PAGES,
    ),
    RowCheck(
        "history.owners",
        "points and candles belong to a listing that exists",
        REPORT,
        storage.COUNT_LISTINGS,
        storage.ORPHANS,
    ),
    RowCheck(
        "runs.rejections",
        "a run has as many rejected records as it counts failures",
        REPORT,
        counters.COUNT_RUNS,
        counters.REJECTIONS,
        "rejections_from",
    ),
    RowCheck(
        "runs.rejection_sources",
        "a rejected record and its run are of one source",
        REPORT,
        counters.COUNT_REJECTIONS,
        counters.REJECTION_OWNERS,
    ),
    RowCheck(
        "runs.payloads",
        "a run of an API has stored at least as many payloads as it counts changes",
        REPORT,
        counters.COUNT_RUNS,
        counters.PAYLOADS,
        "covered_from",
    ),
    RowCheck(
        "runs.notes",
        "the notes of a run add up to their number",
        REPORT,
        counters.COUNT_RUNS,
        counters.NOTES,
    ),
    RowCheck(
        "sources.failures",
        "a source counts the runs that failed since its last good one",
        "the next good run sets the count to 0",
        counters.COUNT_SOURCES,
        counters.FAILURES,
    ),
    RowCheck(
        "checkpoints",
        "no checkpoint is ahead of its source's runs",
        "`kasparro trigger --full` reads the source from the start",
        counters.COUNT_CHECKPOINTS,
        counters.CHECKPOINTS,
    ),
    RowCheck(
        "events.coins",
        "the last change of each coin has its event, while events are kept",
        "a client that resumes may miss the change: let clients read their coins again",
        events.COUNT_COINS,
        events.COINS,
    ),
    RowCheck(
        "events.runs",
        "the events of a run say what its row says, while events are kept",
        REPORT,
        events.COUNT_RUNS,
        events.RUNS,
    ),
    RowCheck(
        "storage.sequences",
        "no sequence is behind the ids that it has given",
        "set it with `SELECT setval(NAME, GREATEST ID)`, before the next run",
        storage.COUNT_SEQUENCES,
        storage.SEQUENCES,
    ),
    RowCheck(
        "storage.expired",
        "the default partition has no body that is past its retention",
        "the ingestor deletes it within the hour",
        storage.COUNT_DEFAULTS,
        storage.EXPIRED_BODIES,
        "raw_expired_before",
    ),
)
