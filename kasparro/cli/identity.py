"""`kasparro identity`: why a listing belongs to an asset, and an asset owns a ticker."""

from collections.abc import Iterator
from decimal import Context, Decimal

import click

from common.display import sanitize
from common.settings import Settings
from common.tickers import to_ticker
from db.connect.pool import connect
from db.read.identity.evidence import (
    ClaimListing,
    OwnershipClaim,
    TickerEvidence,
    ticker_evidence,
)
from kasparro.cli.common.database import find_running
from kasparro.cli.common.errors import CommandError
from kasparro.cli.common.one_shot import run_to_end
from kasparro.cli.common.terminal import say, say_json
from kasparro.cli.common.which import demo_option, settings_for

_WHOLE_FROM = 1000
"""Dollars from which cents are not shown."""


@click.group("identity")
def command() -> None:
    """Show which asset owns a ticker, and why."""


@command.command("explain")
@click.argument("ticker")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@demo_option
def explain(*, ticker: str, as_json: bool, demo: bool | None) -> None:
    """Print what speaks for and against each asset that claims TICKER.

    The first asset owns the ticker. `data/identity.csv` overrules the evidence: see
    docs/IDENTITY.md.
    """
    settings = settings_for(demo)
    evidence = run_to_end(lambda: _read(settings, to_ticker(ticker)))
    if as_json:
        say_json(evidence)
        return
    for line in lines_of(evidence):
        say(sanitize(line))


async def _read(settings: Settings, ticker: str) -> TickerEvidence:
    dsn = settings.database_url or await find_running(settings)
    if dsn is None:
        raise CommandError(f"no Kasparro runs on {settings.home}: start `kasparro up`")
    connection = await connect(dsn, application_name="kasparro identity")
    try:
        async with connection.transaction(readonly=True):
            evidence = await ticker_evidence(connection, ticker)
    finally:
        await connection.close()
    if not evidence.listings:
        raise CommandError(f"no source lists {ticker}: `kasparro status` shows the sources")
    return evidence


def lines_of(evidence: TickerEvidence) -> Iterator[str]:
    """Yield the report; its lines may hold control characters, which the caller escapes."""
    if not evidence.claims:
        yield f"{evidence.ticker}: one listing, so nothing had to be decided"
        for listing in evidence.listings:
            yield f"  {_listing(listing)}"
    for place, claim in enumerate(evidence.claims, 1):
        owns = "owns the ticker" if place == 1 else "does not own it"
        contested = "; the next one is nearly as good" if place == 1 and claim.is_contested else ""
        yield f"{place}. {claim.asset} {owns}{contested}"
        yield f"   for      {'; '.join(_for(claim)) or 'nothing'}"
        yield f"   against  {'; '.join(_against(claim)) or 'nothing'}"
        for listing in claim.listings:
            yield f"   listing  {_listing(listing)}"
    for key in evidence.banned:
        yield f"banned: {key} counts for nothing (data/identity.csv)"


def _for(claim: OwnershipClaim) -> Iterator[str]:
    if claim.is_pinned:
        yield "data/identity.csv names it the owner"
    if claim.priced:
        yield f"{claim.priced} source{'s' if claim.priced > 1 else ''} with a price"
    if claim.size_usd is not None:
        yield f"a size of {_dollars(claim.size_usd)}"
    if claim.has_standing:
        yield "a standing that a newcomer does not overcome"
    if claim.is_followed:
        yield "three observations or more"
    if claim.has_address:
        yield "a contract address"
    if claim.rank is not None:
        yield f"rank {claim.rank:,}"
    yield f"known since {claim.first_seen_at:%Y-%m-%d}"


def _against(claim: OwnershipClaim) -> Iterator[str]:
    if not claim.is_active:
        yield "its sources have ended it"
    if not claim.priced:
        yield "no price"
    if claim.is_copy:
        yield "its name is that of a copy (bridged, wrapped, staked, old …)"
    if claim.is_old:
        yield f"observed last on {claim.newest_at:%Y-%m-%d}, more than a day behind"
    if claim.size_usd is None:
        yield "nothing is known of its size"
    if claim.sources == 1:
        yield "one source alone"


def _listing(listing: ClaimListing) -> str:
    parts = [f"{listing.source}:{listing.external_id}", listing.name or "without a name"]
    if listing.price_usd is not None:
        parts.append(f"price {_dollars(listing.price_usd)}{' (held)' if listing.is_held else ''}")
    if listing.market_cap_usd is not None:
        parts.append(f"cap {_dollars(listing.market_cap_usd)}{_counted(listing)}")
    if listing.volume_24h_usd is not None:
        parts.append(f"volume {_dollars(listing.volume_24h_usd)}")
    parts += [f"label {listing.label}"] * (listing.label is not None)
    parts += [f"address {listing.token}"] * (listing.token is not None)
    return ", ".join(parts)


def _counted(listing: ClaimListing) -> str:
    counted = listing.counted_cap_usd
    if counted is None or listing.market_cap_usd is None:
        return ""
    if Decimal(counted) == Decimal(listing.market_cap_usd):
        return ""
    return f" (counted as {_dollars(counted)})"


def _dollars(text: str) -> str:
    """Return an amount without cents from $1,000 on, else with six significant digits."""
    number = Decimal(text)
    if number >= _WHOLE_FROM:
        return f"${number:,.0f}"
    return f"${Context(prec=6).plus(number).normalize():f}"
