"""Connections whose statements share one deadline."""

import time
from typing import TYPE_CHECKING, Any

import asyncpg

# asyncpg's classes take no parameters at run time; their stubs do.
if TYPE_CHECKING:
    Base = asyncpg.Connection[asyncpg.Record]
else:
    Base = asyncpg.Connection


class TimedConnection(Base):
    """A connection that cancels a statement and raises TimeoutError at its deadline.

    The deadline is an instant of `time.perf_counter`. Without one, each statement has its own
    timeout.
    """

    __slots__ = ("_deadline",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - asyncpg's own
        super().__init__(*args, **kwargs)
        self._deadline: float | None = None

    def set_deadline(self, deadline: float | None) -> None:
        """Set the deadline of all statements from now on, or remove it."""
        self._deadline = deadline

    # These return asyncpg's own awaitables: another coroutine would slow down each statement.

    def fetch(
        self,
        query: str,
        *args: Any,  # noqa: ANN401 - asyncpg's own
        timeout: float | None = None,
        record_class: Any = None,  # noqa: ANN401 - the same
    ) -> Any:  # noqa: ANN401 - asyncpg's own
        """Return all rows."""
        return super().fetch(query, *args, timeout=self._left(timeout), record_class=record_class)

    def fetchrow(
        self,
        query: str,
        *args: Any,  # noqa: ANN401 - asyncpg's own
        timeout: float | None = None,
        record_class: Any = None,  # noqa: ANN401 - the same
    ) -> Any:  # noqa: ANN401 - the same
        """Return the first row."""
        return super().fetchrow(
            query, *args, timeout=self._left(timeout), record_class=record_class
        )

    def fetchval(
        self,
        query: str,
        *args: Any,  # noqa: ANN401 - asyncpg's own
        column: int = 0,
        timeout: float | None = None,
    ) -> Any:  # noqa: ANN401 - the same
        """Return one value of the first row."""
        return super().fetchval(query, *args, column=column, timeout=self._left(timeout))

    # The same.
    def execute(self, query: str, *args: Any, timeout: float | None = None) -> Any:  # noqa: ANN401
        """Run commands."""
        return super().execute(query, *args, timeout=self._left(timeout))

    def _left(self, timeout: float | None) -> float | None:
        # asyncpg raises TimeoutError for a timeout of zero or less.
        return timeout if self._deadline is None else self._deadline - time.perf_counter()
