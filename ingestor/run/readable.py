"""A body without a readable record is malformed, whatever its status."""

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
    """Raise SourceMalformedError if there are records and none is readable; `what` is the body.

    The check ends at the first readable record, so a good body costs the decoding of one.
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
