"""The declaration of a source: its name, settings and URL, and the function that makes it."""

import importlib
import typing
from collections.abc import Callable
from typing import Any, Literal, Self

import msgspec

from common.display import sanitize
from common.settings import RESERVED, Settings, SettingsError, read_value

CreateSource = Callable[..., Any]
"""`create(settings, *, name)`: a Source, or for the kind "stream" a Venue."""
SourceKind = Literal["api", "file", "stream"]


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """How one field of an EnvironmentSettings class is read, as metadata of its `Annotated` type.

    `parse` raises ValueError that says what is expected. `demo` is the value that the demo sets.
    The text of a secret is never shown, and the demo unsets it.
    """

    parse: Callable[[str], object]
    comment: str = ""
    is_secret: bool = False
    demo: str | None = None


class EnvironmentSettings(msgspec.Struct, frozen=True):
    """A source's own settings: the field `acme_url` is the variable ACME_URL.

    A field without a default is required.
    """

    @classmethod
    def load(cls, settings: Settings) -> Self:
        """Read the fields from the environment and `.env`, as far as they are set.

        Raises SettingsError for an unusable value or a missing one.
        """
        values: dict[str, Any] = {}
        for field, setting in declared_settings(cls).items():
            variable = field.upper()
            text = settings.variables.get(variable)
            if text is not None:
                values[field] = read_value(
                    variable, text, setting.parse, is_secret=setting.is_secret
                )
        for info in msgspec.structs.fields(cls):
            if info.required and info.name not in values:
                raise SettingsError(f"{info.name.upper()} is not set, and its source needs it")
        return cls(**values)

    def __repr__(self) -> str:
        """Show the settings without secrets, so that log lines never contain one."""
        shown = (
            f"{field}={'***' if setting.is_secret and value else value!r}"
            for field, setting in declared_settings(type(self)).items()
            for value in [getattr(self, field)]
        )
        return sanitize(f"{type(self).__name__}({', '.join(shown)})")


def declared_settings(cls: type[EnvironmentSettings]) -> dict[str, Setting]:
    """Return the settings of a class by field. Raises TypeError for a field that declares none."""
    hints = typing.get_type_hints(cls, include_extras=True)
    declared = {}
    for field in cls.__struct_fields__:
        found = [
            item for item in getattr(hints[field], "__metadata__", ()) if type(item) is Setting
        ]
        if len(found) != 1:
            raise TypeError(f"{cls.__name__}.{field} must be Annotated with one Setting")
        if field.upper() in RESERVED:
            raise TypeError(f"{cls.__name__}.{field}: {field.upper()} is a setting of Kasparro")
        declared[field] = found[0]
    return declared


class SourceSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What an entry point of the group `kasparro.sources` names.

    `create` is a function `create(settings, *, name)`, or the `module:function` to import when the
    source is made. `url` is the field of `settings` with the provider's URL; `kasparro doctor`
    compares the clock with it. `demo_path` is where the demo's market serves this provider; without
    one, a demo refuses a source of kind "api" or "stream". `kind` is None if an entry point names a
    function. A stream has the URL of its websocket in the field `stream_url`, and the demo's at
    `demo_stream_path`.
    """

    name: str
    kind: SourceKind | None
    create: CreateSource | str
    settings: type[EnvironmentSettings] = EnvironmentSettings
    url: str | None = None
    demo_path: str | None = None
    stream_url: str | None = None
    demo_stream_path: str | None = None

    def check(self) -> None:
        """Raise TypeError for a spec that contradicts itself."""
        if self.kind not in ("api", "file", "stream", None):
            raise TypeError(f'kind must be "api", "file" or "stream"; it is {self.kind!r}')
        if EnvironmentSettings not in getattr(self.settings, "__mro__", ()):
            raise TypeError("settings must be a subclass of EnvironmentSettings")
        if not (callable(self.create) or isinstance(self.create, str)):
            raise TypeError("create must be a function, or the module:function of one")
        declared = declared_settings(self.settings)
        for role, field in (("url", self.url), ("stream_url", self.stream_url)):
            if field is not None and field not in declared:
                raise TypeError(
                    f"{role} must name a field of {self.settings.__name__}; {field!r} is none"
                )
        if self.demo_path is not None and self.url is None:
            raise TypeError("demo_path needs url, the field that the demo sets")
        if (self.kind == "stream") != (self.stream_url is not None):
            raise TypeError('stream_url is needed for the kind "stream", and for it alone')
        if self.kind == "stream" and self.url is None:
            raise TypeError("a stream needs url, the field with the address of its list of markets")

    def creator(self) -> CreateSource:
        """Return the function that makes the source. Raises ImportError and AttributeError."""
        if not isinstance(self.create, str):
            return self.create
        module, _, function = self.create.partition(":")
        creator: CreateSource = getattr(importlib.import_module(module), function)
        return creator

    def provider_url(self, settings: Settings) -> str | None:
        """Return the provider's URL, None for a source without one. Raises SettingsError."""
        if self.url is None:
            return None
        url: str = getattr(self.settings.load(settings), self.url)
        return url

    def demo_variables(self, market: str) -> dict[str, str]:
        """Return the variables of the source in a demo: without secrets, its URL in the market."""
        variables = {}
        for field, setting in declared_settings(self.settings).items():
            if setting.is_secret:
                variables[field.upper()] = ""
            elif setting.demo is not None:
                variables[field.upper()] = setting.demo
        if self.url is not None and self.demo_path is not None:
            variables[self.url.upper()] = market + self.demo_path
        if self.stream_url is not None and self.demo_stream_path is not None:
            websocket = market.replace("http", "ws", 1)
            variables[self.stream_url.upper()] = websocket + self.demo_stream_path
        return variables

    def example_lines(self) -> list[str]:
        """Return the lines of `.env.example`: every setting with its comment and default."""
        defaults = {field.name: field.default for field in msgspec.structs.fields(self.settings)}
        lines = []
        for field, setting in declared_settings(self.settings).items():
            if setting.comment:
                lines.append(f"# {setting.comment}")
            is_unset = setting.is_secret or defaults[field] in (None, msgspec.NODEFAULT)
            lines.append(
                f"{field.upper()}=REPLACE_ME"
                if is_unset
                else f"# {field.upper()}={defaults[field]}"
            )
        return lines
