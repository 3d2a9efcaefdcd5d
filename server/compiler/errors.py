"""Errors that end an attempt to answer a request with a plan."""


class NotCompiledError(Exception):
    """A plan cannot answer the request; Strawberry executes it, or reports the error."""


class OutOfTimeError(Exception):
    """The deadline of the request has passed, so Strawberry must not execute it either."""
