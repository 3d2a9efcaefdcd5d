"""Documents that a request names by id: persisted by clients, or trusted by the operator.

A process has the documents that its own clients sent; the protocol of automatic persisted queries
lets a server forget them. With TRUSTED_DOCUMENTS only those documents run.
"""

import hashlib
import sys
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from common.settings import SettingsError

MAX_PERSISTED_BYTES = 8 * 1024 * 1024
"""The memory of the persisted documents of a process; the least recently used one is evicted."""

SUFFIXES = (".graphql", ".gql")
DASHBOARD_DOCUMENTS = Path(__file__).parent / "static" / "dashboard" / "documents.json"
"""The documents of the dashboard; its build writes them."""


class Documents:
    """Texts by id.

    With `trusted` of None clients persist their own documents, else only those in `trusted` run.
    """

    def __init__(self, trusted: Mapping[str, str] | None = None) -> None:
        self._trusted = trusted
        self._trusted_texts = None if trusted is None else frozenset(trusted.values())
        self._persisted: OrderedDict[str, str] = OrderedDict()
        self._bytes = 0

    @property
    def size_bytes(self) -> int:
        """The memory of the documents that clients persisted."""
        return self._bytes

    @property
    def only_trusted(self) -> bool:
        """Whether only trusted documents may run."""
        return self._trusted is not None

    def get(self, document_id: str) -> str | None:
        """Return the text with an id, None if it is unknown."""
        if self._trusted is not None:
            return self._trusted.get(document_id)
        text = self._persisted.get(document_id)
        if text is not None:
            self._persisted.move_to_end(document_id)
        return text

    def may_run(self, text: str) -> bool:
        """Return whether a text that a client sent may run."""
        return self._trusted_texts is None or text in self._trusted_texts

    def persist(self, document_id: str, text: str) -> None:
        """Store a text that a client persists."""
        if (
            document_id in self._persisted
            or (cost := _cost(document_id, text)) > MAX_PERSISTED_BYTES
        ):
            return
        self._persisted[document_id] = text
        self._bytes += cost
        while self._bytes > MAX_PERSISTED_BYTES:
            self._bytes -= _cost(*self._persisted.popitem(last=False))


def _cost(document_id: str, text: str) -> int:
    return sys.getsizeof(document_id) + sys.getsizeof(text)


def hash_of(text: str) -> str:
    """Return the id of a document for automatic persisted queries: SHA-256 in lower-case hex."""
    return hashlib.sha256(text.encode()).hexdigest()


class _ManifestOperation(msgspec.Struct):
    id: str
    body: str


class _ApolloManifest(msgspec.Struct, tag_field="format", tag="apollo-persisted-query-manifest"):
    """The manifest format of Apollo.

    https://www.apollographql.com/docs/graphos/platform/security/persisted-queries
    """

    operations: list[_ManifestOperation]


def open_documents(trusted: Path | None) -> Documents:
    """Return the documents of a folder or a manifest; without one, clients persist theirs.

    A folder has .graphql and .gql files; a manifest is Relay's `{"<id>": "<text>"}` or Apollo's.
    The ids of a text are that of the manifest and its SHA-256. The documents of the dashboard are
    trusted too. Raises SettingsError.
    """
    if trusted is None:
        return Documents()
    try:
        pairs = dict(_of_folder(trusted) if trusted.is_dir() else _of_manifest(trusted))
    except (OSError, UnicodeDecodeError, msgspec.DecodeError) as error:
        raise SettingsError(
            "TRUSTED_DOCUMENTS must be a folder of .graphql files or a manifest of Relay or Apollo;"
            f" {trusted}: {error}"
        ) from None
    if not pairs:
        raise SettingsError(
            f"TRUSTED_DOCUMENTS must name at least one document; {trusted} holds none"
        )
    if DASHBOARD_DOCUMENTS.is_file():
        pairs |= _of_manifest(DASHBOARD_DOCUMENTS)
    return Documents({hash_of(text): text for text in pairs.values()} | pairs)


def _of_folder(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield the text of each file, with and without the white space around it."""
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
