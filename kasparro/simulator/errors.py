"""The providers' error bodies: CoinPaprika's, CoinGecko's four, and pages of their network."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final, Literal

import msgspec
from aiohttp import web

from kasparro.simulator.market.market import iso
from kasparro.simulator.market.universe import Provider

Headers = Mapping[str, str]
Shape = Literal["error", "status", "error_status", "timestamp", "html", "empty"]

PRICING: Final = "https://www.coingecko.com/en/api/pricing"
RATE_LIMITED: Final = (
    f"You've exceeded the Rate Limit. Please visit {PRICING} to subscribe to our API plans for "
    "higher rate limits."
)
TOO_OLD: Final = (
    "Your request exceeds the allowed time range. Public API users are limited to querying "
    f"historical data within the past 365 days. Upgrade to a paid plan to enjoy full "
    f"historical data access: {PRICING}. "
)
PRO_ONLY: Final = (
    f"This request is limited to PRO API subscribers. Please visit {PRICING} to subscribe."
)
KEY_MISSING: Final = "API Key Missing"
KEY_WRONG: Final = "You have provided incorrect API key credentials."

HTML_PAGE: Final = (
    '<!DOCTYPE html>\n<html lang="en-US"><head><title>{title} | Cloudflare</title></head>'
    "<body><h1>Error {status}</h1><p>Ray ID: 67dbfbc5aa852d52</p></body></html>\n"
)


def coingecko(
    status: int,
    message: str,
    *,
    shape: Shape,
    now: int,
    code: int | None = None,
    headers: Headers | None = None,
) -> web.Response:
    """Return an error of CoinGecko; `code` is a number such as 10005, else the status."""
    code = code or status
    time = iso(now, 0).replace("Z", "+00:00")
    documents: dict[str, Any] = {
        "error": {"error": message},
        "status": {"status": {"error_code": code, "error_message": message}},
        "error_status": {
            "error": {"status": {"timestamp": time, "error_code": code, "error_message": message}}
        },
        "timestamp": {"timestamp": time, "error_code": code, "status": {"error_message": message}},
    }
    if shape not in documents:
        return page(status, empty=shape == "empty", headers=headers)
    return _json(documents[shape], status, "application/json; charset=utf-8", headers)


def coinpaprika(status: int, message: str, headers: Headers | None = None) -> web.Response:
    """Return an error of CoinPaprika, with its trailing line feed."""
    return _json({"error": message}, status, "application/json", headers, end=b"\n")


def page(status: int, *, empty: bool = False, headers: Headers | None = None) -> web.Response:
    """Return an error of the network before a provider: HTML, or an empty body."""
    html = "" if empty else HTML_PAGE.format(status=status, title=phrase(status))
    return web.Response(
        status=status,
        text=html,
        content_type="text/html",
        headers={**(headers or {}), "Server": "cloudflare"},
    )


def any_error(
    provider: Provider, status: int, shape: Shape | None, now: int, headers: Headers
) -> web.Response:
    """Return an error of this status in the provider's usual shape, or in the requested one."""
    if shape in ("html", "empty"):
        return page(status, empty=shape == "empty", headers=headers)
    if provider == "coinpaprika":
        return coinpaprika(status, phrase(status).lower(), headers=headers)
    message = RATE_LIMITED if status == HTTPStatus.TOO_MANY_REQUESTS else phrase(status)
    return coingecko(status, message, shape=shape or "status", now=now, headers=headers)


def phrase(status: int) -> str:
    """Return the status's reason phrase."""
    return (
        HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else f"Status {status}"
    )


def _json(
    document: Any,  # noqa: ANN401 - JSON
    status: int,
    kind: str,
    headers: Headers | None,
    end: bytes = b"",
) -> web.Response:
    body = msgspec.json.encode(document) + end
    return web.Response(
        status=status,
        body=body,
        headers={**(headers or {}), "Content-Type": kind, "Server": "cloudflare"},
    )
