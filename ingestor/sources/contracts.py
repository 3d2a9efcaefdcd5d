"""CoinPaprika's contracts: the platforms, and the contracts on each, one call for each platform."""

from collections.abc import AsyncGenerator
from urllib.parse import quote

import msgspec

from common.chains import platform_chains
from db.notes import Note
from ingestor.http.fetch import Fetch
from ingestor.sources.addresses import AddressReader
from ingestor.sources.decode import decode_record, split
from ingestor.sources.errors import SourceMalformedError, SourceMissingError
from ingestor.sources.records import AddressPage, RecordError

PART = "contracts"
MAX_PLATFORMS = 500
"""There were about 150 in 2023; more would be a fault, and each costs a call."""


class _ListedContract(msgspec.Struct, gc=False):
    address: str | None = None
    active: bool = True


_CONTRACT = msgspec.json.Decoder(_ListedContract)
_PLATFORMS = msgspec.json.Decoder(list[str])


async def contract_pages(fetch: Fetch, source: str) -> AsyncGenerator[AddressPage, None]:
    """Yield a page for the platforms and one for each; a platform that fails does not stop others.

    Raises SourceError if the provider is down, or if its list of platforms cannot be read.
    """
    body = await fetch.get(PART, {})
    platforms = _platforms(body.content or b"", fetch.provider.name)
    yield AddressPage(PART, body.fetched_at, body.content or b"", chains=(), notes=_left(platforms))
    for platform in platforms[:MAX_PLATFORMS]:
        part, chains = f"{PART}/{quote(platform, safe='')}", platform_chains(source, platform)
        try:
            contracts = await fetch.get(part, {})
            reader = _read(contracts.content or b"", fetch.provider.name, source, platform)
        except (SourceMissingError, SourceMalformedError) as error:
            yield AddressPage(part, body.fetched_at, chains=chains, failure=str(error))
        else:
            yield AddressPage(
                part,
                contracts.fetched_at,
                contracts.content or b"",
                reader.addresses,
                chains,
                reader.notes(),
            )


def _platforms(content: bytes, provider: str) -> list[str]:
    try:
        platforms = list(dict.fromkeys(name for name in _PLATFORMS.decode(content) if name))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SourceMalformedError(f"{provider} sent no list of platforms: {error}") from None
    if not platforms:
        raise SourceMalformedError(f"{provider} sent an empty list of platforms - at `$`")
    return platforms


def _left(platforms: list[str]) -> tuple[Note, ...]:
    if len(platforms) <= MAX_PLATFORMS:
        return ()
    text = f"Platforms beyond the first {MAX_PLATFORMS}, which are not read"
    return (Note("platforms", text, len(platforms) - MAX_PLATFORMS),)


def _read(content: bytes, provider: str, source: str, platform: str) -> AddressReader:
    records, rejections = split(content, provider)
    reader = AddressReader(source)
    for record in records:
        try:
            contract = decode_record(record, _CONTRACT)
        except RecordError:
            reader.reject(record.external_id)
        else:
            reader.add(record.external_id, platform, contract.address, active=contract.active)
    for rejection in rejections:
        reader.reject(rejection.error)
    return reader
