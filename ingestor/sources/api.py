"""The public interface of sources: all that a source outside this repository imports.

`docs/ADD_A_SOURCE.md` builds one. The parts:

- declaration: SourceSpec, EnvironmentSettings, Setting, and parsers of values (`http_url`,
  `integer`, `one_of`, `boolean`, `secret`)
- reading: Provider, `open_fetch`, Fetch, Validators, and `split` for JSON arrays of objects
- what a source yields: Source, Page, PageBody, Record, Slice, Rejection, Checkpoint, Note,
  `content_hash`
- listings: `decode_record`, `make_listing`, ListingPaths, Listing, TokenAddress with
  `platform_address` and `parse_token`, and the rules of single values
- optional abilities: SupportsBackfill with PastPrice, SupportsAddresses with AddressPage and
  AddressReader, SupportsCallBudget, ExplainsNoPage
- errors: SourceError and its kinds for the whole source, RecordError for one record, SettingsError
"""

from common.chains import TokenAddress, parse_token, platform_address
from common.network_settings import http_url
from common.setting_values import boolean, integer, one_of, secret
from common.settings import Settings, SettingsError
from ingestor.http.fetch import Fetch, Provider, ResponseBody, Validators, open_fetch
from ingestor.sources.addresses import AddressReader
from ingestor.sources.decode import check_external_id, decode_record, split
from ingestor.sources.errors import (
    SourceError,
    SourceMalformedError,
    SourceMissingError,
    SourceRefusedError,
    SourceUnavailableError,
)
from ingestor.sources.listing import ListingPaths, make_listing
from ingestor.sources.normalize import (
    normalize_name,
    normalize_ticker,
    not_negative,
    observed_at,
    positive,
    rank_of,
    signed,
)
from ingestor.sources.records import (
    OBSERVED_AT,
    AddressPage,
    Checkpoint,
    ExplainsNoPage,
    ListedAddress,
    Listing,
    Note,
    Page,
    PageBody,
    PastPrice,
    Record,
    RecordError,
    Rejection,
    Slice,
    Source,
    SupportsAddresses,
    SupportsBackfill,
    SupportsCallBudget,
    content_hash,
)
from ingestor.sources.spec import EnvironmentSettings, Setting, SourceSpec

__all__ = [
    "OBSERVED_AT",
    "AddressPage",
    "AddressReader",
    "Checkpoint",
    "EnvironmentSettings",
    "ExplainsNoPage",
    "Fetch",
    "ListedAddress",
    "Listing",
    "ListingPaths",
    "Note",
    "Page",
    "PageBody",
    "PastPrice",
    "Provider",
    "Record",
    "RecordError",
    "Rejection",
    "ResponseBody",
    "Setting",
    "Settings",
    "SettingsError",
    "Slice",
    "Source",
    "SourceError",
    "SourceMalformedError",
    "SourceMissingError",
    "SourceRefusedError",
    "SourceSpec",
    "SourceUnavailableError",
    "SupportsAddresses",
    "SupportsBackfill",
    "SupportsCallBudget",
    "TokenAddress",
    "Validators",
    "boolean",
    "check_external_id",
    "content_hash",
    "decode_record",
    "http_url",
    "integer",
    "make_listing",
    "normalize_name",
    "normalize_ticker",
    "not_negative",
    "observed_at",
    "one_of",
    "open_fetch",
    "parse_token",
    "platform_address",
    "positive",
    "rank_of",
    "secret",
    "signed",
    "split",
]
