"""Live updates: the delay of a commit for thousands of subscribers, and its cost."""

from bench.figures import Figure
from bench.live_coins import measure_coins
from bench.live_runs import measure_runs
from bench.postgres import temporary_server


async def measure(*, quick: bool) -> list[Figure]:
    """Measure all figures, each with a server of its own."""
    async with temporary_server() as postgres:
        runs = await measure_runs(await postgres.database("runs"), quick=quick)
        return runs + await measure_coins(await postgres.database("coins"), quick=quick)
