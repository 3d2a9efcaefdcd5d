"""GET /openapi.json: the REST interface as OpenAPI 3.1, written as data.

A test validates the responses against it.
"""

from starlette.requests import Request
from starlette.responses import Response

from db.export.formats import FORMATS
from server.rest.data import DEFAULT_LIMIT, JSON, MAX_LIMIT, MAX_OFFSET
from server.rest.openapi_schemas import SCHEMAS, Schema
from server.rest.parameters import MAX_TEXT, QUALITY
from server.rest.responses import Json
from server.state import ServerState


def _response(description: str, schema: str) -> Schema:
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    headers = {"X-Request-ID": {"$ref": "#/components/headers/RequestId"}}
    return {"description": description, "headers": headers, "content": content}


def _cacheable(response: Schema) -> Schema:
    """Add the header of a response that a client may cache."""
    return response | {
        "headers": response["headers"] | {"ETag": {"$ref": "#/components/headers/ETag"}}
    }


def _data_response() -> Schema:
    page = _cacheable(_response("A page, or a file", "DataPage"))
    page["headers"] |= {
        "Content-Disposition": {
            "description": "A file's name; not on a page",
            "schema": {"type": "string"},
        }
    }
    page["content"] |= {form.media_type: {} for form in FORMATS.values()}
    return page


def _parameter(name: str, schema: Schema, description: str) -> Schema:
    return {
        "name": name,
        "in": "query",
        "required": False,
        "schema": schema,
        "description": description,
    }


UNCHANGED: Schema = {
    "description": "The response with the ETag of If-None-Match is still current",
    "headers": {
        "X-Request-ID": {"$ref": "#/components/headers/RequestId"},
        "ETag": {"$ref": "#/components/headers/ETag"},
    },
}
UNAVAILABLE = _response(
    "The database is unavailable, or there are too many requests; see Retry-After", "Error"
)
TEXT: Schema = {"type": "string", "maxLength": MAX_TEXT, "pattern": "^[^\\u0000]*$"}
# The other spellings of ISO 8601 have no format in JSON Schema.
DATE: Schema = {
    "anyOf": [
        {"type": "string", "format": "date"},
        {"type": "string", "format": "date-time"},
        {"type": "string", "pattern": r"^\d{4}-?W(0[1-9]|[1-4]\d)(-?[1-7])?$"},
        {"const": ""},
    ]
}
NO_PARAMETERS = _response("A parameter was given; none is allowed", "BadParameters")
DATA_PARAMETERS = [
    _parameter(
        "format",
        {"enum": [JSON, *FORMATS], "default": JSON},
        "A page in JSON, or a file: its prices have every digit, and it is sent while it is read",
    ),
    _parameter(
        "limit",
        {"type": "integer", "minimum": 1},
        f"Records a page: up to {MAX_LIMIT}, and {DEFAULT_LIMIT} where it is left out. Records in a"
        " file: any number, and all where it is left out",
    ),
    _parameter(
        "offset",
        {"type": "integer", "minimum": 0, "maximum": MAX_OFFSET, "default": 0},
        "Records to skip; prefer `cursor` while data changes",
    ),
    _parameter("ticker", TEXT, "A ticker, in upper or lower case"),
    _parameter("source", TEXT, "A source, such as coinpaprika"),
    _parameter(
        "start_date", DATE, "Observed then or later: an ISO 8601 date, week or date-time, in UTC"
    ),
    _parameter("end_date", DATE, "Observed then or earlier; a date or week means all of it"),
    _parameter(
        "cursor", {"type": "string"}, "`next_cursor` of the page before; empty for the first page"
    ),
    _parameter(
        "include",
        {"enum": ["", QUALITY]},
        "`quality` adds `confidence`, `is_suspect`, `excluded` and `asset` to each record of a page"
        " in JSON",
    ),
]
PATHS: dict[str, dict[str, Schema]] = {
    "/": {
        "get": {
            "operationId": "root",
            "tags": ["Service"],
            "summary": "The name of the service and its endpoints",
            "responses": {"200": _response("The endpoints; a page for a browser", "Root")},
        }
    },
    "/health": {
        "get": {
            "operationId": "health",
            "tags": ["Service"],
            "summary": "Whether the database answers, and when the last run ended",
            "responses": {
                "200": _response("The database answers", "Health"),
                "503": _response("It does not", "Health"),
            },
        }
    },
    "/health/live": {
        "get": {
            "operationId": "live",
            "tags": ["Service"],
            "summary": "Whether the process answers at all",
            "responses": {"200": _response("It does", "Live")},
        }
    },
    "/health/ready": {
        "get": {
            "operationId": "ready",
            "tags": ["Service"],
            "summary": "Whether there is a database with fresh data",
            "responses": {
                "200": _response("A source was read within three of its polls", "Ready"),
                "503": _response("The database is unavailable, or its data is old", "Ready"),
            },
        }
    },
    "/data": {
        "get": {
            "operationId": "data",
            "tags": ["Data"],
            "summary": "Merged records: greatest market cap first, unknown ones last,"
            " then by ticker",
            "description": "A file without limit, offset and cursor holds every record,"
            " in no order.",
            "parameters": DATA_PARAMETERS,
            "responses": {
                "200": _data_response(),
                "304": UNCHANGED,
                "404": _response("A file is asked for of a ticker that no record has", "Error"),
                "422": _response("A parameter is invalid or unknown", "BadParameters"),
                "501": _response(
                    "The format needs pyarrow, which is not installed on the server", "Error"
                ),
                "503": UNAVAILABLE,
            },
        }
    },
    "/stats": {
        "get": {
            "operationId": "stats",
            "tags": ["Data"],
            "summary": "The number of records, and the newest successful and failed runs",
            "responses": {
                "200": _cacheable(_response("The figures", "Stats")),
                "304": UNCHANGED,
                "422": NO_PARAMETERS,
                "503": UNAVAILABLE,
            },
        }
    },
    "/schema.graphql": {
        "get": {
            "operationId": "schema",
            "tags": ["Service"],
            "summary": "The GraphQL schema as text, for code generators",
            "responses": {
                "200": _cacheable(
                    _response("The schema", "Error")
                    | {"content": {"text/plain": {"schema": {"type": "string"}}}}
                ),
                "304": UNCHANGED,
                "404": _response("Introspection is disabled", "Error"),
            },
        }
    },
    "/trigger-etl": {
        "post": {
            "operationId": "triggerEtl",
            "tags": ["Runs"],
            "summary": "Request a run of every enabled source",
            "security": [{"SchedulerToken": []}],
            "responses": {
                "200": _response("The request is stored", "Triggered"),
                "401": _response("The token is wrong or missing", "Error"),
                "403": _response(
                    "A page of another site asks, which CORS_ORIGINS does not name", "Error"
                ),
                "422": NO_PARAMETERS,
                "429": _response("The client sent too many wrong tokens; see Retry-After", "Error"),
                "503": UNAVAILABLE,
            },
        }
    },
}


def document(version: str, root_path: str = "", *, is_demo: bool = False) -> Schema:
    """Return the OpenAPI document of a version, served below a path; the title names a demo."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"Kasparro Backend & ETL{' (demo: prices are made up)' if is_demo else ''}",
            "version": version,
            "description": "One trustworthy, live record for every crypto ticker, as plain REST. "
            "The same data and more, live too, is at /graphql.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": root_path or "/"}],
        "security": [],
        "tags": [{"name": name} for name in ("Data", "Runs", "Service")],
        "paths": PATHS,
        "components": {
            "schemas": SCHEMAS,
            "headers": {
                "RequestId": {
                    "description": "The request's id, as in the log",
                    "schema": {"type": "string"},
                },
                "ETag": {
                    "description": "Names the state of the data;"
                    " missing where changes cannot be detected",
                    "schema": {"type": "string"},
                },
            },
            "securitySchemes": {
                "SchedulerToken": {"type": "apiKey", "in": "header", "name": "X-Scheduler-Token"}
            },
        },
    }


async def get_openapi(request: Request) -> Response:
    """Answer the document."""
    state: ServerState = request.app.state.server
    return Json(document(state.version, state.settings.root_path, is_demo=state.is_demo))
