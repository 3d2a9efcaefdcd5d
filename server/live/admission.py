"""Limits on open connections, subscriptions and operations: for each client and in total."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

RETRY_AFTER_SECONDS = 30
"""How long a client that was refused should wait."""


class FullError(Exception):
    """A limit is reached; the message is for the client."""


class Admission:
    """Counts open connections or subscriptions by client; `noun` names them in messages."""

    def __init__(self, noun: str, total: int, per_client: int) -> None:
        self._noun = noun
        self._total = total
        self._per_client = per_client
        self._by_client: Counter[str] = Counter()
        self._count = 0

    @property
    def count(self) -> int:
        """How many are open."""
        return self._count

    def enter(self, client: str) -> None:
        """Count one more of a client. Raises FullError."""
        if self._count >= self._total:
            raise FullError(
                f"This server has {self._total:,} {self._noun}, as many as it may; try again later"
            )
        if self._by_client[client] >= self._per_client:
            raise FullError(
                f"There may be {self._per_client:,} {self._noun} of one client; end one first"
            )
        self._by_client[client] += 1
        self._count += 1

    def leave(self, client: str) -> None:
        """Count one less."""
        self._count -= 1
        self._by_client[client] -= 1
        if not self._by_client[client]:
            del self._by_client[client]

    @contextmanager
    def admit(self, client: str) -> Iterator[None]:
        """Count one more for as long as the context lasts. Raises FullError."""
        self.enter(client)
        try:
            yield
        finally:
            self.leave(client)


class OperationAdmission:
    """Counts the different subscribed operations: of each client and in total.

    Each operation is executed for every change. Further subscriptions to the same operation cost
    almost nothing.
    """

    def __init__(self, total: int, per_client: int) -> None:
        self._total = total
        self._per_client = per_client
        self._count = 0
        self._by_client: Counter[str] = Counter()

    def enter(self, client: str, *, is_new: bool) -> None:
        """Count an operation that the client, or with `is_new` every client, did not have yet.

        Raises FullError.
        """
        if is_new and self._count >= self._total:
            raise FullError(
                f"This server has subscriptions to {self._total:,} different operations, as many as"
                " it may; try again later, or use variables for `tickers`, `source` and `after`"
            )
        if self._by_client[client] >= self._per_client:
            raise FullError(
                f"There may be subscriptions to {self._per_client:,} different operations of one"
                " client; end one first, or use variables for `tickers`, `source` and `after`"
            )
        self._by_client[client] += 1
        self._count += is_new

    def leave(self, client: str, *, was_last: bool) -> None:
        """Count an operation that the client, or with `was_last` every client, has ended."""
        self._count -= was_last
        self._by_client[client] -= 1
        if not self._by_client[client]:
            del self._by_client[client]
