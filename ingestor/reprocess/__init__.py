"""Rebuild listings, coins, history and candles from the raw payloads, beside the running service.

`reading` streams payloads through the sources' present `to_listing` into scratch tables, batch by
batch, each committed with how far it is; `placing` puts the result in place in one transaction;
`job` goes through both.
"""

from ingestor.reprocess.job import ReprocessBusyError, ReprocessReport, reprocess

__all__ = ["ReprocessBusyError", "ReprocessReport", "reprocess"]
