"""A body in which nothing can be read is not what it should be, whatever its status was."""

import datetime
from collections.abc import Sequence

from ingestor.sources.errors import SourceMalformedError
from ingestor.sources.records import Record, RecordError, Rejection, Source


def check_readable(
    source: Source,
    what: str,
    records: Sequence[Record],
    rejections: Sequence[Rejection],
    fetched_at: datetime.datetime,
) -> None:
    """Raise SourceMalformedError where there are records and none of them can be read; `what` names their body.

    One readable record settles it, so that a good body costs no more than decoding its first
    record.
    """
    reasons = [rejection.error for rejection in rejections[:1]]
    for record in records:
        try:
            source.to_listing(record, fetched_at)
        except RecordError as error:
            reasons.append(str(error))
        else:
            return
    if reasons:
        count = len(records) + len(rejections)
        raise SourceMalformedError(
            f"none of the {count:,} records of {what} can be read, the first one: {reasons[0]}"
        )
