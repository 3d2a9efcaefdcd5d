"""Both providers' routes in replay mode."""

from aiohttp import web

from kasparro.simulator import coingecko, coinpaprika, errors
from kasparro.simulator.bodies import pack, respond
from kasparro.simulator.replay import RecordedBody, Recording
from kasparro.simulator.simulation import PREFIXES, SIMULATION


def add_routes(app: web.Application, recording: Recording) -> None:
    """Serve a recording at the routes of the live market; other paths are not found."""
    replayed = _ReplayedBody(recording)
    paprika, gecko = PREFIXES["coinpaprika"], PREFIXES["coingecko"]
    app.router.add_get(f"{paprika}/tickers", replayed.tickers)
    app.router.add_get(f"{paprika}/coins", replayed.paprika_coins)
    app.router.add_get(f"{paprika}/{{path:.*}}", coinpaprika.not_found)
    app.router.add_get(f"{gecko}/ping", coingecko.ping)
    app.router.add_get(f"{gecko}/coins/markets", replayed.markets)
    app.router.add_get(f"{gecko}/coins/list", replayed.gecko_list)
    app.router.add_get(f"{gecko}/{{path:.*}}", coingecko.not_found)


class _ReplayedBody:
    """The recorded bodies as responses."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording

    async def tickers(self, request: web.Request) -> web.StreamResponse:
        return await _paprika(request, self._recording.tickers)

    async def paprika_coins(self, request: web.Request) -> web.StreamResponse:
        return await _paprika(request, self._recording.paprika_coins)

    async def gecko_list(self, request: web.Request) -> web.StreamResponse:
        return await _gecko(request, self._recording.gecko_list)

    async def markets(self, request: web.Request) -> web.StreamResponse:
        now = request.app[SIMULATION].market.now
        refusal = coingecko.refuse_currency(request, now)
        if refusal:
            return refusal
        pages, page = self._recording.market_pages, coingecko.page_of(request)
        past_the_end = RecordedBody(name="", plain=b"[]", changed_at=now)
        return await _gecko(request, pages[page - 1] if page <= len(pages) else past_the_end)


async def _paprika(request: web.Request, recorded: RecordedBody | None) -> web.StreamResponse:
    if recorded is None:
        return errors.coinpaprika(404, coinpaprika.ID_NOT_FOUND)
    body = await pack(recorded.plain, recorded.changed_at)
    return respond(request, body, coinpaprika.HEADERS, weak=False)


async def _gecko(request: web.Request, recorded: RecordedBody | None) -> web.StreamResponse:
    if recorded is None:
        return await coingecko.not_found(request)
    body = await pack(recorded.plain, recorded.changed_at)
    return respond(request, body, coingecko.HEADERS, weak=True)
