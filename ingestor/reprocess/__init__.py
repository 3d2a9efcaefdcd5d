"""Rebuild listings, coins, history and candles from the bodies while the service runs.

`reading` passes payloads through the sources' present `to_listing` into scratch tables; each batch
is committed with its progress. `placing` writes the result in one transaction; `job` runs both.
"""

from ingestor.reprocess.job import ReprocessBusyError, ReprocessReport, reprocess

__all__ = ["ReprocessBusyError", "ReprocessReport", "reprocess"]
