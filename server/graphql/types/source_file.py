"""The type SourceFile: how a file of a source was read when it was read last."""

import datetime

import strawberry

from db.notes import MAX_NOTES
from server.graphql.types.fields import nested
from server.graphql.types.scalars import DecimalText

MAX_COLUMNS = 14
"""A file has at most one column for each role."""


@strawberry.type(description="What is read as one field of a listing.")
class SourceFileColumn:
    """Its value is a `FileColumn`."""

    role: str = strawberry.field(description='What it is read as, such as "price".')
    header: str | None = strawberry.field(
        description="The header of its column;"
        " null where the file's name or csv.toml says it for all rows."
    )
    how: str = strawberry.field(
        description='Its unit and how its cells are read, such as "US dollars, decimal comma".'
    )


@strawberry.type(description="Something about a file that a reader of its prices should know.")
class SourceFileNote:
    """Its value is a `Note`."""

    text: str = strawberry.field(description="A sentence.")
    count: int = strawberry.field(
        description="How many times it was noted, such as the cells that it is about."
    )


@strawberry.type(
    name="FirstListing", description="The listing that one of a file's first rows becomes."
)
class FirstListingType:
    """Its value is a `db.source_files.FirstListing`."""

    external_id: str = strawberry.field(
        description="The row's own id, or one made of its symbol and name."
    )
    ticker: str = strawberry.field(description="The symbol, normalised and upper-cased.")
    name: str | None = strawberry.field(description="As the file writes it.")
    rank: int | None = strawberry.field(description="Rank by market cap, 1 the greatest.")
    price_usd: DecimalText | None = strawberry.field(description="The price in US dollars.")
    market_cap_usd: DecimalText | None = strawberry.field(
        description="Market capitalisation in US dollars."
    )
    volume_24h_usd: DecimalText | None = strawberry.field(
        description="Traded within 24 hours, in US dollars."
    )
    percent_change_24h: float | None = strawberry.field(
        description="Change of the price within 24 hours, in per cent."
    )
    circulating_supply: DecimalText | None = strawberry.field(description="Units in circulation.")
    total_supply: DecimalText | None = strawberry.field(description="Units that exist.")
    max_supply: DecimalText | None = strawberry.field(description="Units that there can ever be.")
    observed_at: datetime.datetime = strawberry.field(description="When the values were observed.")
    has_own_time: bool = strawberry.field(
        description="Whether the row says that itself; else its file dates it."
    )


@strawberry.type(description="How a file of a source was read when it was read last.")
class SourceFile:
    """Its value is a `SourceFileRow`."""

    name: str = strawberry.field(description="Its path within the folder that CSV_PATH names.")
    read_at: datetime.datetime = strawberry.field(description="When it was last read to its end.")
    form: str = strawberry.field(
        description="How it is written: its kind, encoding, packing, delimiter and header."
    )
    rows: int = strawberry.field(description="How many rows it had then.")
    rejected: int = strawberry.field(description="How many of them were rejected.")
    columns: list[SourceFileColumn] = nested(["columns"], "What is read as what.", rows=MAX_COLUMNS)
    unread_headers: list[str] = strawberry.field(
        description="The headers of columns that are not read, 50 at most."
    )
    unread_count: int = strawberry.field(description="How many columns are not read.")
    notes: list[SourceFileNote] = nested(
        ["notes"], "What a reader of its prices should know.", rows=MAX_NOTES
    )
    first_listings: list[FirstListingType] = nested(
        ["first_listings"], "What its first rows become, 5 at most."
    )
