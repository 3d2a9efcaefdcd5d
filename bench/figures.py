"""A figure: a measured value, what it is compared with, and its bounds."""

from typing import Any

import msgspec


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of a figure, in its own unit, or of its ratio to the value compared with."""

    at_most: float | None = None
    at_least: float | None = None
    ratio_at_most: float | None = None
    ratio_at_least: float | None = None

    def words(self, unit: str) -> str:
        """Return `<= 2 x, <= 10 ms`."""
        bounds = (
            ("<=", self.ratio_at_most, "x"),
            (">=", self.ratio_at_least, "x"),
            ("<=", self.at_most, unit),
            (">=", self.at_least, unit),
        )
        return ", ".join(
            f"{sign} {bound:,g} {of}" for sign, bound, of in bounds if bound is not None
        )

    def holds(self, value: float, ratio: float | None) -> bool:
        """Return whether a figure is within all bounds; a missing ratio is not."""
        within = _within(value, self.at_most, self.at_least)
        if ratio is None:
            return within and self.ratio_at_most is self.ratio_at_least is None
        return within and _within(ratio, self.ratio_at_most, self.ratio_at_least)


def _within(value: float, most: float | None, least: float | None) -> bool:
    return (most is None or value <= most) and (least is None or value >= least)


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the table; `ours` and `theirs` are in `unit`, and of the same run.

    `line` names the line of a measurement that has several.
    """

    what: str
    unit: str
    ours: float
    against: str | None = None
    theirs: float | None = None
    bounds: Bounds | None = None
    line: str | None = None

    @property
    def ratio(self) -> float | None:
        """Ours divided by theirs."""
        return self.ours / self.theirs if self.theirs else None

    @property
    def reached(self) -> bool | None:
        """Whether the figure is within its bounds; None without bounds."""
        return None if self.bounds is None else self.bounds.holds(self.ours, self.ratio)

    def row(self, command: str) -> dict[str, Any]:
        """Return the figure for the JSON output."""
        fields = msgspec.structs.asdict(self)
        return {
            **{name: value for name, value in fields.items() if name != "bounds"},
            "wanted": None if self.bounds is None else self.bounds.words(self.unit),
            "ratio": self.ratio,
            "reached": self.reached,
            "command": command,
        }
