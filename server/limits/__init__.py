"""Limits on documents, checked before anything walks them in ways that a hostile one makes slow."""

from server.limits.bounds import (
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
