"""The errors that end an attempt to answer a request by a plan."""


class NotCompiledError(Exception):
    """A plan cannot answer the request; Strawberry executes it, or reports what is wrong."""


class OutOfTimeError(Exception):
    """The time of the request is over, so Strawberry must not execute it either."""
