"""The JSON schemas of the REST interface's bodies, as OpenAPI 3.1 has them."""

from typing import Any

from server.rest.data import MAX_LIMIT

Schema = dict[str, Any]

TIME: Schema = {"type": "string", "format": "date-time", "pattern": "Z$", "description": "UTC"}
NUMBER_OR_NULL: Schema = {"type": ["number", "null"]}
TIME_OR_NULL: Schema = {"type": ["string", "null"], "format": "date-time", "description": "UTC"}
STATUS_OR_NULL: Schema = {"enum": ["success", "partial", "failure", "abandoned", None]}
COUNT: Schema = {"type": "integer", "minimum": 0}


def _object(**properties: Schema) -> Schema:
    """Return the schema of an object with exactly these properties."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _with_demo_mark(schema: Schema) -> Schema:
    """Return the schema with the property that only a demo has."""
    demo = {"const": True, "description": "The prices are made up; absent otherwise"}
    return _may_have(schema, demo=demo)


def _may_have(schema: Schema, **properties: Schema) -> Schema:
    """Return the schema with optional properties."""
    return {**schema, "properties": {**schema["properties"], **properties}}


def _or_null(name: str) -> Schema:
    return {"anyOf": [{"$ref": f"#/components/schemas/{name}"}, {"type": "null"}]}


SCHEMAS: dict[str, Schema] = {
    "Record": _may_have(
        _object(
            id={"type": "string", "examples": ["merged_btc"]},
            ticker={"type": "string", "examples": ["BTC"]},
            name={"type": ["string", "null"], "examples": ["Bitcoin"]},
            price_usd={
                **NUMBER_OR_NULL,
                "description": "Always written with 8 decimals, rounded half to even",
                "examples": [45000.5],
            },
            market_cap_usd=NUMBER_OR_NULL,
            volume_24h_usd=NUMBER_OR_NULL,
            percent_change_24h={**NUMBER_OR_NULL, "description": "In per cent"},
            source={
                "type": "string",
                "description": "Where price, market cap, volume and change come from",
            },
            created_at={**TIME, "description": "When the source observed the values, in UTC"},
            ingested_at={**TIME, "description": "When the record was last saved, in UTC"},
        ),
        confidence={
            **NUMBER_OR_NULL,
            "minimum": 0,
            "maximum": 1,
            "description": "With include=quality: how far the price is believed; null until the"
            " first merge after an upgrade from 0.1.0",
        },
        is_suspect={
            "type": "boolean",
            "description": "With include=quality: whether a source's price was left out, and fewer"
            " than two sources confirm the price",
        },
        excluded={
            "type": "array",
            "items": {"$ref": "#/components/schemas/Exclusion"},
            "description": "With include=quality: values of sources that the record leaves out",
        },
        asset={
            "type": ["string", "null"],
            "description": "With include=quality: the key of the asset that owns the ticker",
            "examples": ["coinpaprika:btc-bitcoin"],
        },
    ),
    "Exclusion": _object(
        source={"type": "string"},
        external_id={"type": "string", "description": "The source's id of the listing"},
        field={"enum": ["price_usd", "market_cap_usd"]},
        value={"type": "number"},
        reason={
            "enum": ["jump", "disagrees", "impossible"],
            "description": "jump: far from what the listing said before, and no other source"
            " confirms it. disagrees: far from the other fresh prices of the asset. impossible:"
            " a market cap that no asset has",
        },
        observed_at=TIME,
    ),
    "Pagination": {
        "type": "object",
        "properties": {
            "limit": {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT},
            "offset": COUNT,
            "returned": COUNT,
            "total": {**COUNT, "description": "How many records match in all"},
            "next_cursor": {
                "type": ["string", "null"],
                "description": "Only where `cursor` was given: the next page's, null at the end",
            },
        },
        "required": ["limit", "offset", "returned", "total"],
        "additionalProperties": False,
    },
    "Meta": _object(
        request_id={"type": "string", "description": "The same as the header X-Request-ID"},
        api_latency_ms={"type": "number", "minimum": 0},
    ),
    "DataPage": _object(
        data={
            "type": "array",
            "items": {"$ref": "#/components/schemas/Record"},
            "maxItems": MAX_LIMIT,
        },
        pagination={"$ref": "#/components/schemas/Pagination"},
        meta={"$ref": "#/components/schemas/Meta"},
    ),
    "Health": _with_demo_mark(
        _object(
            status={"enum": ["ok", "error"]},
            database={"enum": ["connected", "disconnected"]},
            last_etl={
                **TIME_OR_NULL,
                "description": "When the newest finished run ended; null without one",
            },
            last_etl_status=STATUS_OR_NULL,
            timestamp=TIME,
        )
    ),
    "Live": _object(status={"const": "alive"}),
    "Ready": _may_have(
        _object(
            status={"enum": ["ready", "not_ready"]},
            database={"enum": ["connected", "disconnected"]},
            data={"enum": ["fresh", "stale", "missing", "unknown"]},
            data_age_seconds={"type": ["integer", "null"], "minimum": 0},
        ),
        problems={
            "type": "array",
            "items": {"type": "string"},
            "description": "What stops the ingestor",
        },
    ),
    "Stats": _object(
        total_normalized=COUNT,
        last_success=_or_null("LastSuccess"),
        last_failure=_or_null("LastFailure"),
    ),
    "LastSuccess": _object(
        source={"type": "string"}, finished_at=TIME, duration_ms=COUNT, processed=COUNT
    ),
    "LastFailure": _object(
        source={"type": "string"}, finished_at=TIME, message={"type": ["string", "null"]}
    ),
    "Triggered": _object(status={"const": "triggered"}, timestamp=TIME),
    "Root": _with_demo_mark(
        _object(
            name={"type": "string"},
            version={"type": "string"},
            status={"const": "running"},
            endpoints={
                "type": "object",
                "additionalProperties": {"type": "string", "pattern": "^/"},
            },
        )
    ),
    "Error": _object(detail={"type": "string"}),
    "BadParameters": _object(
        detail={
            "type": "array",
            "minItems": 1,
            "items": _object(
                loc={
                    "type": "array",
                    "items": {"type": "string"},
                    "examples": [["query", "limit"]],
                },
                msg={"type": "string"},
                type={"type": "string"},
            ),
        }
    ),
}
