"""Documents that a request names and does not carry: persisted by clients as they go, or trusted from the start.

A process remembers what its own clients sent (the protocol of automatic persisted queries lets a
server forget). Trusted documents come from TRUSTED_DOCUMENTS, and then nothing else runs.
"""

import hashlib
import sys
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from common.settings import SettingsError

MAX_PERSISTED_BYTES = 8 * 1024 * 1024
"""What the persisted documents of a process may take; the one that was used least recently goes first."""

SUFFIXES = (".graphql", ".gql")
OF_DASHBOARD = Path(__file__).parent / "static" / "dashboard" / "documents.json"
"""What our own page sends; its build writes it."""


class Documents:
    """Texts by their ids.

    `trusted` of None lets clients persist their own; otherwise only those of it may run.
    """

    def __init__(self, trusted: Mapping[str, str] | None = None) -> None:
        self._trusted = trusted
        self._trusted_texts = None if trusted is None else frozenset(trusted.values())
        self._kept: OrderedDict[str, str] = OrderedDict()
        self._bytes = 0

    @property
    def size_bytes(self) -> int:
        """How much is kept of what clients sent."""
        return self._bytes

    @property
    def only_trusted(self) -> bool:
        """Whether clients may run nothing but the trusted documents."""
        return self._trusted is not None

    def get(self, document_id: str) -> str | None:
        """Return the text with an id; None where it is not known."""
        if self._trusted is not None:
            return self._trusted.get(document_id)
        text = self._kept.get(document_id)
        if text is not None:
            self._kept.move_to_end(document_id)
        return text

    def may_run(self, text: str) -> bool:
        """Tell whether a text that was sent may run."""
        return self._trusted_texts is None or text in self._trusted_texts

    def keep(self, document_id: str, text: str) -> None:
        """Remember a text that a client persists."""
        if document_id in self._kept or (cost := _cost(document_id, text)) > MAX_PERSISTED_BYTES:
            return
        self._kept[document_id] = text
        self._bytes += cost
        while self._bytes > MAX_PERSISTED_BYTES:
            self._bytes -= _cost(*self._kept.popitem(last=False))


def _cost(document_id: str, text: str) -> int:
    return sys.getsizeof(document_id) + sys.getsizeof(text)


def hash_of(text: str) -> str:
    """Return the id of a document in the protocol of automatic persisted queries: SHA-256, in small hex digits."""
    return hashlib.sha256(text.encode()).hexdigest()


class _ManifestOperation(msgspec.Struct):
    id: str
    body: str


class _ApolloManifest(msgspec.Struct, tag_field="format", tag="apollo-persisted-query-manifest"):
    """https://www.apollographql.com/docs/graphos/platform/security/persisted-queries ("manifest format")."""

    operations: list[_ManifestOperation]


def open_documents(trusted: Path | None) -> Documents:
    """Return the documents of a process: those of a folder or a manifest, or what clients persist.

    Raises SettingsError.

    A folder's documents are its .graphql and .gql files; a manifest is Relay's `{"<id>": "<text>"}`
    or Apollo's. Each text has the id that the manifest gives, and its SHA-256. The documents of the
    dashboard are trusted too.
    """
    if trusted is None:
        return Documents()
    try:
        pairs = dict(_of_folder(trusted) if trusted.is_dir() else _of_manifest(trusted))
    except (OSError, UnicodeDecodeError, msgspec.DecodeError) as error:
        raise SettingsError(
            f"TRUSTED_DOCUMENTS must be a folder of .graphql files or a manifest of Relay or Apollo; {trusted}: {error}"
        ) from None
    if not pairs:
        raise SettingsError(
            f"TRUSTED_DOCUMENTS must name at least one document; {trusted} holds none"
        )
    if OF_DASHBOARD.is_file():
        pairs |= _of_manifest(OF_DASHBOARD)
    return Documents({hash_of(text): text for text in pairs.values()} | pairs)


def _of_folder(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield each file's text as it is, and without its last line break, as a client would send it."""
    for file in sorted(path for path in folder.rglob("*") if path.suffix in SUFFIXES):
        text = file.read_text(encoding="utf-8")
        for variant in (text, text.strip()):
            yield hash_of(variant), variant


def _of_manifest(file: Path) -> Iterator[tuple[str, str]]:
    body = file.read_bytes()
    if b'"apollo-persisted-query-manifest"' in body:
        for operation in msgspec.json.decode(body, type=_ApolloManifest).operations:
            yield operation.id, operation.body
    else:
        yield from msgspec.json.decode(body, type=dict[str, str]).items()
