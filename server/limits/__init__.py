"""Limits on documents, checked before the steps that a hostile document makes slow."""

from server.limits.document_limits import (
    LIMITS,
    DocumentLimits,
    LimitExceededError,
    always_fits,
    check_limits,
    cost_of,
    fits_until,
)
from server.limits.measure import Measure, measure_operation

__all__ = [
    "LIMITS",
    "DocumentLimits",
    "LimitExceededError",
    "Measure",
    "always_fits",
    "check_limits",
    "cost_of",
    "fits_until",
    "measure_operation",
]
