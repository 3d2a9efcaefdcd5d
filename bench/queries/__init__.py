"""Queries under load, in turns: PostGraphile, plain Strawberry, Starlette, PostgreSQL alone."""

import functools
import importlib.metadata
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, Final

import aiohttp
import msgspec

from bench import load
from bench.figures import Bounds, Figure
from bench.lines import take
from bench.load import Target
from bench.peers.postgraphile import version as postgraphile_version
from bench.postgres import temporary_server
from bench.queries import documents
from bench.queries.bare import COINS
from bench.queries.documents import body, meaning
from bench.queries.sides import Sides, graphql, running_sides
from bench.queries.world import World, fill
from bench.rounds import Measure, medians
from bench.screen import say

DEEP_PAGE: Final = 200
SECONDS, ROUNDS = 3, 7
QUICK_SECONDS, QUICK_ROUNDS = 1, 1
TICKER = "BTC"
PLAIN: Final = f"plain Strawberry {importlib.metadata.version('strawberry-graphql')}"
BARE: Final = f"bare Starlette {importlib.metadata.version('starlette')}"


class Bench(msgspec.Struct, frozen=True):
    """The inputs of a line: servers, database, and the duration of each load."""

    sides: Sides
    peer: str
    world: World
    seconds: int
    rounds: int

    async def rates(
        self, targets: Mapping[str, Target], floor: str | None = None
    ) -> dict[str, float]:
        """Return the requests a second of each target, and of PostgreSQL alone for a statement."""
        measures: dict[str, Measure] = {
            name: functools.partial(self._requests, target) for name, target in targets.items()
        }
        if floor is not None:
            measures["pgbench"] = functools.partial(
                load.transactions, self.world.dsn, floor, self.seconds
            )
        # Node.js compiles hot code; with a single round there is nothing to wait for.
        return await medians(measures, self.rounds, warm_up=min(1, self.rounds - 1))

    async def _requests(self, target: Target) -> float:
        return (await load.requests(target, self.seconds)).per_second


async def measure(*, quick: bool, lines: Collection[str]) -> list[Figure]:
    """Measure the lines with one database and one set of servers."""
    async with temporary_server() as server:
        world = await fill(server, quick=quick)
        say(f"{world.coins:,} coins; starting the servers ...")
        async with running_sides(world.dsn) as sides:
            seconds, rounds = (QUICK_SECONDS, QUICK_ROUNDS) if quick else (SECONDS, ROUNDS)
            bench = Bench(sides, postgraphile_version(), world, seconds, rounds)
            measures = {
                line: functools.partial(take_line, bench) for line, take_line in _MEASURES.items()
            }
            return await take(measures, lines)


async def _coins(bench: Bench) -> list[Figure]:
    sides, request = bench.sides, body(documents.COINS)
    targets = {
        "ours": graphql(sides.ours, request),
        "cached": graphql(sides.cached, request),
        "plain": graphql(sides.plain, request),
        "bare": graphql(sides.bare, request),
        "peer": Target(sides.postgraphile, body(documents.COINS_THERE)),
    }
    await _check(targets, exactly={"cached", "plain", "bare"})
    rates = await bench.rates(targets, floor=COINS)
    what = (
        f"coins(first: {documents.PAGE}), 6 fields, edges, cursors, pageInfo; "
        f"{bench.world.coins:,} coins; cache "
    )
    off = functools.partial(_figure, what + "off", rates["ours"])
    on = functools.partial(_figure, what + "on", rates["cached"])
    return [
        off(bench.peer, rates["peer"], Bounds(ratio_at_least=1.5)),
        off(PLAIN, rates["plain"], Bounds(ratio_at_least=7)),
        off(f"{BARE}, its own statement", rates["bare"]),
        off("pgbench, that statement", rates["pgbench"]),
        on(bench.peer, rates["peer"], Bounds(ratio_at_least=4)),
    ]


async def _coin(bench: Bench) -> list[Figure]:
    targets = {
        "ours": graphql(bench.sides.ours, body(documents.COIN, ticker=TICKER)),
        "peer": Target(bench.sides.postgraphile, body(documents.COIN_THERE, ticker=TICKER)),
    }
    await _check(targets)
    rates = await bench.rates(targets)
    return [
        _figure(
            "coin(ticker), 8 fields; cache off",
            rates["ours"],
            bench.peer,
            rates["peer"],
            Bounds(ratio_at_least=1.3),
        )
    ]


async def _nested(bench: Bench) -> list[Figure]:
    sides, request = bench.sides, body(documents.NESTED, **{"from": documents.since(bench.world)})
    targets = {
        "ours": graphql(sides.ours, request),
        "plain": graphql(sides.plain, request),
        "peer": Target(sides.postgraphile, body(documents.NESTED_THERE)),
    }
    await _check(targets, exactly={"plain"})
    bench = msgspec.structs.replace(
        bench, seconds=2 * bench.seconds
    )  # an answer takes tens of milliseconds
    rates = await bench.rates(targets)
    what = "coins(first: 50) with listings and 30 candles by day; cache off"
    return [
        _figure(what, rates["ours"], bench.peer, rates["peer"], Bounds(ratio_at_least=1.5)),
        _figure(what, rates["ours"], PLAIN, rates["plain"]),
    ]


async def _deep(bench: Bench) -> list[Figure]:
    url = bench.sides.ours
    targets = {
        "deep": graphql(
            url, body(documents.PAGE_AFTER, after=await _cursor_before(url, DEEP_PAGE))
        ),
        "first": graphql(url, body(documents.PAGE_AFTER, after=None)),
    }
    for name, found in (await _answers(targets)).items():
        if len(found["data"]["coins"]["edges"]) != documents.PAGE:
            raise RuntimeError(f"the {name} page is not full: {found}")
    rates = await bench.rates(targets)
    bounds = Bounds(ratio_at_least=0.8)
    return [
        _figure(
            f"page {DEEP_PAGE} of coins by cursor; cache off",
            rates["deep"],
            "page 1",
            rates["first"],
            bounds,
        )
    ]


async def _data(bench: Bench) -> list[Figure]:
    path = f"/data?limit={documents.PAGE}"
    targets = {"ours": Target(bench.sides.ours + path), "bare": Target(bench.sides.bare + path)}
    found = await _answers(targets)
    for key in ("data", "pagination"):
        if found["ours"][key] != found["bare"][key]:
            raise RuntimeError(f"the answers differ in {key!r}: {found}")
    rates = await bench.rates(targets)
    against = f"{BARE}, the same statement"
    return [
        _figure(
            f"GET {path}; cache off",
            rates["ours"],
            against,
            rates["bare"],
            Bounds(ratio_at_least=0.7),
        )
    ]


_MEASURES: Final[Mapping[str, Callable[[Bench], Awaitable[list[Figure]]]]] = {
    "coins": _coins,
    "coin": _coin,
    "nested": _nested,
    "deep": _deep,
    "data": _data,
}


def _figure(
    what: str, ours: float, against: str, theirs: float, bounds: Bounds | None = None
) -> Figure:
    return Figure(
        what=what, unit="requests/s", ours=ours, against=against, theirs=theirs, bounds=bounds
    )


async def _cursor_before(url: str, page: int) -> str:
    """Return the cursor before a page."""
    cursor, skip, passed = None, (page - 1) * documents.PAGE, 0
    async with aiohttp.ClientSession() as client:
        while passed < skip:
            answer = await _answer(client, graphql(url, body(documents.CURSORS, after=cursor)))
            edges = answer["data"]["coins"]["edges"][: skip - passed]
            cursor, passed = edges[-1]["cursor"], passed + len(edges)
    if cursor is None:
        raise AssertionError("no page was passed")
    return str(cursor)


async def _check(targets: Mapping[str, Target], exactly: Collection[str] = ()) -> None:
    """Compare every answer with ours: equal JSON, or equal meaning from another schema.

    Raises RuntimeError.
    """
    found = await _answers(targets)
    ours = found["ours"]
    if not ours.get("data"):
        raise RuntimeError(f"our answer has no data: {ours}")
    for name, theirs in found.items():
        same = theirs == ours if name in exactly else meaning(theirs) == meaning(ours)
        if not same:
            raise RuntimeError(f"{name} has another answer: {theirs} instead of {ours}")


async def _answers(targets: Mapping[str, Target]) -> dict[str, Any]:
    async with aiohttp.ClientSession() as client:
        return {name: await _answer(client, target) for name, target in targets.items()}


async def _answer(client: aiohttp.ClientSession, target: Target) -> Any:  # noqa: ANN401 - JSON
    method = "GET" if target.body is None else "POST"
    headers = {} if target.body is None else {"Content-Type": "application/json"}
    async with client.request(method, target.url, data=target.body, headers=headers) as response:
        return msgspec.json.decode(await response.read())
