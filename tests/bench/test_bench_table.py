"""The output of a run: each figure with its result and the command that measures it."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import date

import pytest

from bench import ingest, queries
from bench.__main__ import MEASUREMENTS, NAMES, command, select_lines
from bench.figures import Bounds, Figure
from bench.lines import LinesFailedError, take
from bench.machine import Machine
from bench.queries.documents import meaning
from bench.rounds import medians
from bench.screen import print_table

MACHINE = Machine("a processor", 2, 4.0, "Linux 6", "3.11.7", "18.6", date(2026, 11, 23))


@pytest.mark.parametrize(
    ("bounds", "reached"),
    [
        (Bounds(ratio_at_least=1.5), True),
        (Bounds(ratio_at_least=1.6), False),
        (Bounds(ratio_at_most=1.5), True),
        (Bounds(ratio_at_most=1.4), False),
        (Bounds(ratio_at_least=1.5, at_most=299), False),
        (None, None),
    ],
)
def test_a_figure_is_judged_by_its_ratio_and_its_bounds(
    *, bounds: Bounds | None, reached: bool | None
) -> None:
    figure = Figure(what="x", unit="requests/s", ours=300, against="y", theirs=200, bounds=bounds)
    assert figure.reached is reached


def test_a_ratio_that_is_boundsand_missing_is_not_reached() -> None:
    assert Figure(what="x", unit="s", ours=3, bounds=Bounds(ratio_at_most=1)).reached is False


def test_a_line_is_measured_anew_by_its_own_command() -> None:
    figure = Figure(what="x", unit="s", ours=3, line="coins")
    assert command("queries", figure, quick=False) == "python -m bench --only queries.coins"
    assert (
        command("history", Figure(what="x", unit="s", ours=3), quick=True)
        == "python -m bench --only history --quick"
    )
    assert "queries.coins" in NAMES


def test_what_is_named_is_measured_once_and_a_module_means_all_of_its_lines() -> None:
    assert select_lines(["queries.coin", "queries.coins", "queries.coin"]) == {
        "queries": ("coin", "coins")
    }
    assert select_lines(["queries.coin", "queries"])["queries"] == (
        "coin",
        "coins",
        "nested",
        "deep",
        "data",
    )
    assert select_lines(["history", "ingest.csv"]) == {"history": (), "ingest": ("csv",)}
    assert select_lines(list(MEASUREMENTS)) == dict(MEASUREMENTS)


def test_the_table_shows_machine_ratio_judgement_and_command(
    capsys: pytest.CaptureFixture[str],
) -> None:
    reached = Figure(
        what="coins",
        unit="requests/s",
        ours=3000,
        against="peer 5",
        theirs=1000,
        bounds=Bounds(ratio_at_least=1.5),
    )
    missed = Figure(
        what="cycle",
        unit="s",
        ours=0.9,
        against="floor",
        theirs=0.1,
        bounds=Bounds(ratio_at_most=4),
    )
    print_table(
        MACHINE, [(reached, "python -m bench --only a"), (missed, "python -m bench --only b")]
    )
    machine, _, first, second = (
        " ".join(line.split()) for line in capsys.readouterr().out.splitlines()
    )
    assert machine == str(MACHINE)
    assert (
        first == "coins 3,000 requests/s peer 5 1,000 requests/s 3.00 x >= 1.5 x yes "
        "python -m bench --only a"
    )
    assert second == "cycle 0.9 s floor 0.1 s 9.00 x <= 4 x NO python -m bench --only b"


def test_every_line_that_can_be_named_is_there() -> None:
    assert tuple(queries._MEASURES) == MEASUREMENTS["queries"]
    assert tuple(ingest._MEASURES) == MEASUREMENTS["ingest"]


async def test_sides_are_measured_in_turns_and_the_warm_up_counts_for_none() -> None:
    order: list[str] = []

    def side(name: str, values: list[float]) -> Callable[[], Awaitable[float]]:
        async def measured() -> float:
            order.append(name)
            await asyncio.sleep(0)
            return values.pop(0)

        return measured

    found = await medians(
        {"a": side("a", [99, 1, 5, 3]), "b": side("b", [99, 20, 10, 30])}, 3, warm_up=1
    )
    assert found == {"a": 3, "b": 20}
    assert "".join(order) == "abbaabba"


async def test_a_line_that_fails_costs_no_other() -> None:
    async def good() -> list[Figure]:
        return [Figure(what="x", unit="s", ours=1)]

    async def bad() -> list[Figure]:
        raise RuntimeError("a peer is missing")

    with pytest.raises(LinesFailedError) as failed:
        await take({"bad": bad, "good": good, "unwanted": bad}, ["good", "bad"])
    assert failed.value.lines == ["bad"]
    assert [(figure.what, figure.line) for figure in failed.value.figures] == [("x", "good")]
    assert [figure.line for figure in await take({"bad": bad, "good": good}, ["good"])] == ["good"]


def test_answers_of_two_schemas_mean_the_same_or_not() -> None:
    ours = {
        "coins": {
            "nodes": [
                {
                    "ticker": "BTC",
                    "priceUsd": "0.1",
                    "percentChange24h": -0.5,
                    "listings": [
                        {"source": "a", "priceUsd": "1"},
                        {"source": "b", "priceUsd": None},
                    ],
                    "candles": [{"start": "2026-11-22T00:00:00.000000Z", "open": "2"}],
                }
            ],
            "pageInfo": {"hasNextPage": True, "endCursor": "x"},
        }
    }
    theirs = {
        "coins": {
            "nodes": [
                {
                    "ticker": "BTC",
                    "priceUsd": "0.10000000",
                    "percentChange24h": "-0.50",
                    "listings": {
                        "nodes": [
                            {"source": "b", "priceUsd": None},
                            {"source": "a", "priceUsd": "1.0"},
                        ]
                    },
                    "candles": {"nodes": [{"start": "2026-11-22T00:00:00+00:00", "open": "2.0"}]},
                }
            ],
            "pageInfo": {"hasNextPage": True, "endCursor": "y"},
        }
    }
    assert meaning(ours) == meaning(theirs)
    theirs["coins"]["nodes"][0]["priceUsd"] = "0.10000001"  # type: ignore[index]  # JSON
    assert meaning(ours) != meaning(theirs)
