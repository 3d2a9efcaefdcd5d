"""Belief in the values of a coin: which source gave each, and which values are left out."""

import datetime
import enum

import msgspec
import strawberry

from server.graphql.types.scalars import DecimalText

PROVENANCE_FIELDS = {
    "name": "name",
    "rank": "rank",
    "price_usd": "priceUsd",
    "market_cap_usd": "marketCapUsd",
    "volume_24h_usd": "volume24hUsd",
    "percent_change_24h": "percentChange24h",
}
"""The columns that a source gives, in the order of provenance, and their fields in the schema."""


class Provenance(msgspec.Struct, frozen=True, gc=False):
    """One entry of a coin's provenance."""

    field: str
    source: str
    external_id: str
    observed_at: datetime.datetime


class _SingleSource(msgspec.Struct, frozen=True, gc=False):
    """The one listing that gave every field."""

    source: str
    external_id: str
    observed_at: datetime.datetime


_PROVENANCE = msgspec.json.Decoder(_SingleSource | list[Provenance])


@strawberry.type(description="Which source gave one field of a coin.")
class FieldProvenance:
    """Its value is a `Provenance`."""

    field: str = strawberry.field(description='The field of the coin, such as "priceUsd".')
    source: str = strawberry.field(description="The source that gave it.")
    external_id: str = strawberry.field(description="The source's id of the listing that gave it.")
    observed_at: datetime.datetime = strawberry.field(description="When the source observed it.")


def decode_provenance(column: msgspec.Raw, *values: object) -> list[Provenance]:
    """Return the entries of a coin's column `provenance`.

    `values` are the coin's columns in the order of PROVENANCE_FIELDS.
    """
    found = _PROVENANCE.decode(column)
    if isinstance(found, list):
        return [
            msgspec.structs.replace(entry, field=PROVENANCE_FIELDS[entry.field]) for entry in found
        ]
    return [
        Provenance(field, found.source, found.external_id, found.observed_at)
        for field, value in zip(PROVENANCE_FIELDS.values(), values, strict=True)
        if value is not None
    ]


class Excluded(msgspec.Struct, frozen=True, gc=False):
    """One entry of a coin's `excluded`; the value is a decimal as it was stored."""

    source: str
    external_id: str
    field: str
    value: str
    reason: str
    observed_at: datetime.datetime


class _StoredExclusion(msgspec.Struct, frozen=True, gc=False):
    """An entry as the column holds it: the value is a JSON number, whose digits are kept."""

    source: str
    external_id: str
    field: str
    value: msgspec.Raw
    reason: str
    observed_at: datetime.datetime


_EXCLUSIONS = msgspec.json.Decoder(list[_StoredExclusion])


@strawberry.enum(description="Why a record leaves a source's value out.")
class ExclusionReason(enum.Enum):
    """The values are those of the `reason` in normalized_records.excluded."""

    JUMP = strawberry.enum_value(
        "jump",
        description="It is far from both values that the same listing had before, and no other"
        " source confirms it. The record keeps the value before, if there is one.",
    )
    DISAGREES = strawberry.enum_value(
        "disagrees",
        description="A price: it differs by more than 1 per cent from the other fresh prices of the"
        " asset (from the median of three and more; of two, the one is left out that is farther"
        " from what the sources said before). A market cap: it is more than 10 times the median of"
        " the sources.",
    )
    IMPOSSIBLE = strawberry.enum_value(
        "impossible", description="No asset is worth as much: a market cap above 10^13 US dollars."
    )


@strawberry.type(description="A source's value that a record leaves out, and why.")
class ExcludedValue:
    """Its value is an `Excluded`."""

    source: str = strawberry.field(description="The source that gave the value.")
    external_id: str = strawberry.field(description="The source's id of the listing that gave it.")
    field: str = strawberry.field(description='The field of the coin, such as "priceUsd".')
    value: DecimalText = strawberry.field(description="The value, with all digits.")
    reason: ExclusionReason = strawberry.field(description="Why it is left out.")
    observed_at: datetime.datetime = strawberry.field(description="When the source observed it.")


def decode_excluded(column: msgspec.Raw | None) -> list[Excluded]:
    """Return the entries of a coin's column `excluded`; null is none."""
    return [
        Excluded(
            entry.source,
            entry.external_id,
            PROVENANCE_FIELDS[entry.field],
            bytes(entry.value).decode(),
            entry.reason,
            entry.observed_at,
        )
        for entry in (() if column is None else _EXCLUSIONS.decode(column))
    ]
