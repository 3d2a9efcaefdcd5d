"""The columns of each field, in the row that is the value of its object.

Only fields of these types are compiled.
"""

import datetime
import functools
from collections.abc import Callable, Mapping, Sequence

import msgspec
from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLLeafType,
    get_named_type,
    get_nullable_type,
    is_leaf_type,
    is_list_type,
)
from strawberry.types.field import StrawberryField

from common.chains import caip19
from db.notes import Note
from db.read.asset_parts import FormerTickerRow, TokenAddressRow
from db.read.assets import AssetRow
from db.read.coins import CoinRow
from db.read.history.candles import CandleRow, PricePointRow
from db.read.listings import ListingRow
from db.read.requests import RequestRow
from db.read.runs import RejectionRow, RunRow
from db.read.sources import SourceCheckpointRow, SourceRow
from db.read.streams import AssetConsensus, GapRow, LiveMarketRow, StreamStatus
from db.source_files import FileColumn, FirstListing, SourceFileRow
from server.graphql.markets.consensus import ContributionValue
from server.graphql.relay.ids import asset_id, listing_id, rejection_id, request_id, run_id
from server.graphql.types.provenance import Excluded, Provenance
from server.graphql.types.run import duration_ms, payload_text
from server.graphql.types.scalars import format_instant

Values = Sequence[object]
"""One value for each row."""

Convert = Callable[[Values], Values]

ROWS: Mapping[str, type[msgspec.Struct]] = {
    "Asset": AssetRow,
    "Candle": CandleRow,
    "Checkpoint": SourceCheckpointRow,
    "Coin": CoinRow,
    "Consensus": AssetConsensus,
    "Contribution": ContributionValue,
    "EtlRequest": RequestRow,
    "ExcludedValue": Excluded,
    "FieldProvenance": Provenance,
    "FirstListing": FirstListing,
    "FormerTicker": FormerTickerRow,
    "Listing": ListingRow,
    "Market": LiveMarketRow,
    "PricePoint": PricePointRow,
    "Rejection": RejectionRow,
    "Run": RunRow,
    "RunNote": Note,
    "Source": SourceRow,
    "SourceFile": SourceFileRow,
    "SourceFileColumn": FileColumn,
    "SourceFileNote": Note,
    "StreamGap": GapRow,
    "StreamState": StreamStatus,
    "TokenAddress": TokenAddressRow,
}
"""The row that is the value of an object of each type.

A field without a resolver is the column of the same name.
"""


class ComputedColumn(msgspec.Struct, frozen=True):
    """A field that is a function of columns."""

    columns: tuple[str, ...]
    value: Callable[..., object]


COMPUTED: Mapping[str, ComputedColumn] = {
    "Asset.id": ComputedColumn(("key",), asset_id),
    "EtlRequest.id": ComputedColumn(("id",), request_id),
    "Listing.id": ComputedColumn(("source", "external_id"), listing_id),
    "Rejection.id": ComputedColumn(("id",), rejection_id),
    "Rejection.payload": ComputedColumn(("payload",), payload_text),
    "Run.durationMs": ComputedColumn(("started_at", "finished_at"), duration_ms),
    "Run.id": ComputedColumn(("id",), run_id),
    "TokenAddress.caip19": ComputedColumn(("chain", "address"), caip19),
}


class Column(msgspec.Struct, frozen=True):
    """A field that is a column; `convert` returns its values as in the response."""

    name: str
    convert: Convert | None


def leaf_of(type_name: str, name: str, field: GraphQLField) -> Column | ComputedColumn | None:
    """Return the columns of a field without arguments and selection; None if it has none."""
    computed = COMPUTED.get(f"{type_name}.{name}")
    if computed is not None:
        return computed
    definition = field.extensions.get("strawberry-definition")
    leaf_type = get_named_type(field.type)
    if (
        not isinstance(definition, StrawberryField)
        or not is_leaf_type(leaf_type)
        or field.args
        or definition.base_resolver
        or definition.extensions
        or definition.permission_classes
        or definition.python_name not in ROWS[type_name].__struct_fields__
    ):
        return None
    convert = _convert_of(leaf_type)
    # `convert` takes a column of single values.
    if convert is not None and is_list_type(get_nullable_type(field.type)):
        return None
    return Column(definition.python_name, convert)


def _convert_of(leaf_type: GraphQLLeafType) -> Convert | None:
    """Return how a type serializes database values; None if msgspec does it."""
    if isinstance(leaf_type, GraphQLEnumType):
        serialize = functools.cache(leaf_type.serialize)
        return lambda values: [None if value is None else serialize(value) for value in values]
    return instants if leaf_type.name == "DateTime" else None


_UTC = datetime.UTC


def instants(values: Values) -> Values:
    """Return instants that msgspec writes in RFC 3339, without a fraction of zero."""
    return [
        value if value is None or (value.microsecond and value.tzinfo is _UTC) else _format(value)  # type: ignore[attr-defined]  # a column of instants
        for value in values
    ]


@functools.lru_cache(maxsize=4_096)
def _format(value: datetime.datetime) -> str:
    return format_instant(value)
