"""A figure: what was measured, what it is held against, and what was wanted."""

from typing import Any

import msgspec


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of a figure, in its own unit, or of its ratio to what it is compared with."""

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
        """Tell whether a figure is within all bounds; a ratio that could not be measured is within none."""
        within = _within(value, self.at_most, self.at_least)
        if ratio is None:
            return within and self.ratio_at_most is self.ratio_at_least is None
        return within and _within(ratio, self.ratio_at_most, self.ratio_at_least)


def _within(value: float, most: float | None, least: float | None) -> bool:
    return (most is None or value <= most) and (least is None or value >= least)


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the table; `ours` and `theirs` are in `unit`, and `theirs` is of the same run.

    `line` names the part of a measurement that can be taken alone, where it has several.
    """

    what: str
    unit: str
    ours: float
    against: str | None = None
    theirs: float | None = None
    wanted: Wanted | None = None
    line: str | None = None

    @property
    def ratio(self) -> float | None:
        """Ours by theirs."""
        return self.ours / self.theirs if self.theirs else None

    @property
    def reached(self) -> bool | None:
        """Whether the figure is what was wanted; None where nothing was."""
        return None if self.wanted is None else self.wanted.holds(self.ours, self.ratio)

    def row(self, command: str) -> dict[str, Any]:
        """Return what the JSON output holds of it."""
        return {
            **msgspec.structs.asdict(self),
            "wanted": None if self.wanted is None else self.wanted.words(self.unit),
            "ratio": self.ratio,
            "reached": self.reached,
            "command": command,
        }
