"""Live updates: how soon a commit reaches thousands of subscribers, what they cost, and what they cost others."""

from bench.figures import Figure
from bench.live_coins import measure_coins
from bench.live_runs import measure_runs
from bench.postgres import temporary_server


async def measure(*, quick: bool) -> list[Figure]:
    """Take all figures, each of a server of its own."""
    async with temporary_server() as postgres:
        runs = await measure_runs(await postgres.database("runs"), quick=quick)
        return runs + await measure_coins(await postgres.database("coins"), quick=quick)
