"""The type SourceFile: how a file of a source was read when it was read last."""

import datetime

import strawberry

from db.notes import MAX_NOTES
from server.graphql.types.fields import nested
from server.graphql.types.scalars import DecimalText

MAX_COLUMNS = 14
"""A file has at most one column for each role."""


@strawberry.type(description="A role, and the column that is read for it.")
class SourceFileColumn:
    """Its value is a `FileColumn`."""

    role: str = strawberry.field(description='The role, such as "price".')
    header: str | None = strawberry.field(
        description="The header of its column;"
        " null if the file's name or csv.toml gives the value of all rows."
    )
    how: str = strawberry.field(
        description='Its unit and how its cells are read, such as "US dollars, decimal comma".'
    )


@strawberry.type(description="A note on how a file was read.")
class SourceFileNote:
    """Its value is a `Note`."""

    text: str = strawberry.field(description="A sentence.")
    count: int = strawberry.field(description="The number of occurrences, such as cells.")


@strawberry.type(name="FirstListing", description="The listing of one of a file's first rows.")
class FirstListingType:
    """Its value is a `db.source_files.FirstListing`."""

    external_id: str = strawberry.field(
        description="The id of the row, or one made of its symbol and name."
    )
    ticker: str = strawberry.field(description="The symbol, normalised and in upper case.")
    name: str | None = strawberry.field(description="As the file writes it.")
    rank: int | None = strawberry.field(description="Rank by market cap; 1 is the largest.")
    price_usd: DecimalText | None = strawberry.field(description="The price in US dollars.")
    market_cap_usd: DecimalText | None = strawberry.field(
        description="Market capitalisation in US dollars."
    )
    volume_24h_usd: DecimalText | None = strawberry.field(
        description="Trading volume within 24 hours, in US dollars."
    )
    percent_change_24h: float | None = strawberry.field(
        description="Change of the price within 24 hours, in per cent."
    )
    circulating_supply: DecimalText | None = strawberry.field(description="Units in circulation.")
    total_supply: DecimalText | None = strawberry.field(description="Units in existence.")
    max_supply: DecimalText | None = strawberry.field(description="The maximum number of units.")
    observed_at: datetime.datetime = strawberry.field(description="When the values were observed.")
    has_own_time: bool = strawberry.field(
        description="Whether the row has its own time; otherwise it has the time of its file."
    )


@strawberry.type(description="How a file of a source was last read.")
class SourceFile:
    """Its value is a `SourceFileRow`."""

    name: str = strawberry.field(description="Its path in the folder of CSV_PATH.")
    read_at: datetime.datetime = strawberry.field(description="When it was last read to its end.")
    form: str = strawberry.field(
        description="Its format: kind, encoding, compression, delimiter and header."
    )
    rows: int = strawberry.field(description="The number of its rows.")
    rejected: int = strawberry.field(description="The number of rejected rows.")
    columns: list[SourceFileColumn] = nested(
        ["columns"], "The roles of its columns.", rows=MAX_COLUMNS
    )
    unread_headers: list[str] = strawberry.field(
        description="The headers of columns that are not read, 50 at most."
    )
    unread_count: int = strawberry.field(description="The number of columns that are not read.")
    notes: list[SourceFileNote] = nested(
        ["notes"], "Notes on how the file was read.", rows=MAX_NOTES
    )
    first_listings: list[FirstListingType] = nested(
        ["first_listings"], "The listings of its first rows, at most 5."
    )
