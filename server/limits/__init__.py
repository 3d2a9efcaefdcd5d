"""Limits on documents, checked before anything walks them in ways that a hostile one makes slow."""

from server.limits.bounds import LIMITS, LimitExceededError, Limits, check_limits
from server.limits.measure import Measure, measure_operation

__all__ = ["LIMITS", "LimitExceededError", "Limits", "Measure", "check_limits", "measure_operation"]
