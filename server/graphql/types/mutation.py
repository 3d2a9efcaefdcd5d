"""The type Mutation: it requests a run of the ingestor."""

from collections.abc import Sequence
from typing import Annotated

import strawberry

from db.connect.types import Connection
from db.read.requests import RequestRow, requests_by_id
from db.requests import add_request
from db.sources import enabled_sources
from server.auth.scheduler_token import TOKEN_HEADER, check_token
from server.graphql.execution.context import Info
from server.graphql.execution.errors import bad_input, unavailable
from server.graphql.types.arguments import checked_texts, or_none
from server.graphql.types.fields import resolved
from server.graphql.types.request import EtlRequest
from server.limits.rows import MAX_LIST_ITEMS


@strawberry.input(description="The sources to run, and the options.")
class TriggerEtlInput:
    """The argument of triggerEtl."""

    sources: list[str] | None = strawberry.field(
        default=strawberry.UNSET, description="The sources to run; the default is all enabled ones."
    )
    full: bool | None = strawberry.field(
        default=False, description="Whether to ignore checkpoints and validators."
    )


class TriggerEtlValue:
    """A TriggerEtlPayload at run time."""

    def __init__(self, request: RequestRow) -> None:
        self.request = request


@strawberry.type(description="The result of a trigger.")
class TriggerEtlPayload:
    """Its value is a `TriggerEtlValue`."""

    request: EtlRequest = strawberry.field(
        description="The stored request, which will have its runs."
    )


def _checked_sources(sources: Sequence[str] | None, enabled: Sequence[str]) -> Sequence[str]:
    """Return the sources to run. Raises GraphQLError for one that is not enabled."""
    if not enabled:
        raise unavailable("No source is set up yet: the ingestor has not started")
    if sources is None:
        return enabled
    names = list(dict.fromkeys(checked_texts(sources, "input.sources")))
    unknown = [name for name in names if name not in enabled]
    if unknown or not names:
        problem = f"names no enabled source: {unknown[0][:60]!r}" if unknown else "names no source"
        raise bad_input("input.sources", f"{problem}; there are {', '.join(enabled)}")
    return names


async def _store(connection: Connection, trigger: TriggerEtlInput | None) -> RequestRow:
    """Store a request for a run. Raises GraphQLError."""
    sources = _checked_sources(
        None if trigger is None else or_none(trigger.sources),
        await enabled_sources(connection),
    )
    number = await add_request(connection, sources, full=bool(trigger and trigger.full))
    return (await requests_by_id(connection, [number]))[number]


async def _trigger_etl(
    info: Info,
    input: Annotated[  # noqa: A002 - the schema's name
        TriggerEtlInput | None,
        strawberry.argument(
            description="The sources and options; the default is all enabled sources, as polled."
        ),
    ] = strawberry.UNSET,
) -> TriggerEtlValue:
    await check_token(info.context.state, info.context.presented_token)
    async with info.context.writing() as connection:
        return TriggerEtlValue(await _store(connection, or_none(input)))


@strawberry.type(description="Operations that change something.")
class Mutation:
    """The root of mutations."""

    trigger_etl: TriggerEtlPayload = resolved(
        _trigger_etl,
        "Request an immediate run. Needs the scheduler token"
        f" in the header {TOKEN_HEADER}, or under that name in a websocket's connection_init."
        f" At most {MAX_LIST_ITEMS} sources.",
    )
