"""How a part of the compiler says that an operation is not for it."""


class NotOursError(Exception):
    """The operation, or this request of it, runs the ordinary way, which knows it or can tell what is wrong."""


class OutOfTimeError(Exception):
    """The request has had its time; the ordinary way would only take more of it."""
