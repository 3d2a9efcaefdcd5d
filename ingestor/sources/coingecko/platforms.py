"""CoinGecko's contracts of all coins, in one body: https://docs.coingecko.com/reference/coins-list."""

import msgspec

from ingestor.http.fetch import Fetch
from ingestor.sources.addresses import AddressReader
from ingestor.sources.decode import decode_record, split
from ingestor.sources.errors import SourceMalformedError
from ingestor.sources.records import AddressPage, RecordError

PART = "coins/list"


class _CoinPlatforms(msgspec.Struct, gc=False):
    platforms: dict[str, str | None] = {}


_LISTED = msgspec.json.Decoder(_CoinPlatforms)


async def platforms_page(fetch: Fetch, source: str) -> AddressPage:
    """Return the addresses of every coin. Raises SourceError, also for a list without any."""
    body = await fetch.get(PART, {"include_platform": "true"})
    records, rejections = split(body.content or b"", fetch.provider.name)
    reader = AddressReader(source)
    for record in records:
        try:
            platforms = decode_record(record, _LISTED).platforms
        except RecordError:
            reader.reject(record.external_id)
        else:
            for platform, text in platforms.items():
                reader.add(record.external_id, platform, text)
    for rejection in rejections:
        reader.reject(rejection.error)
    if not reader.addresses:
        raise SourceMalformedError(
            f"{fetch.provider.name} sent no address of any coin - at `$[...].platforms`"
        )
    return AddressPage(
        PART, body.fetched_at, body.content or b"", reader.addresses, notes=reader.notes()
    )
