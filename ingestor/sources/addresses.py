"""The addresses in a body: in their chains' normal forms, with notes on what was left out."""

from common.addresses import telling_chain
from common.chains import (
    TokenAddress,
    is_known_chain,
    is_known_platform,
    named_address,
    parse_token,
    platform_address,
)
from db.notes import Note
from db.write.identity.addresses import ListedAddress

MAX_NAMED = 5
MAX_SHOWN = 60


class AddressReader:
    """Collects the addresses of one body of a source; a text that is not an address is counted."""

    def __init__(self, source: str) -> None:
        self._source = source
        self.addresses: list[ListedAddress] = []
        self._unknown: dict[str, int] = {}
        self._malformed: list[str] = []

    def add(
        self, external_id: str, platform: str, text: str | None, *, active: bool = True
    ) -> None:
        """Add what the source says; an empty text says that the coin is the platform's own."""
        if text is None or not text.strip():
            return
        if not is_known_platform(self._source, platform):
            self._unknown[platform] = self._unknown.get(platform, 0) + 1
        token = platform_address(self._source, platform, text)
        if token is None:
            self._malformed.append(f"{text.strip()[:MAX_SHOWN]!r} on {platform}")
        else:
            self.addresses.append(ListedAddress(external_id, token, active))

    def reject(self, what: str) -> None:
        """Count a record that cannot be read."""
        self._malformed.append(what[:MAX_SHOWN])

    def notes(self) -> tuple[Note, ...]:
        """Return the notes on the platforms that are not known, and on malformed addresses."""
        notes = []
        if self._unknown:
            text = "Addresses on platforms that data/chains.csv lacks, kept as they are written: "
            named = _some(list(self._unknown))
            notes.append(Note("unknown platform", text + named, sum(self._unknown.values())))
        if self._malformed:
            text = "Records without a usable address on their platform: "
            named = _some(self._malformed)
            notes.append(Note("malformed address", text + named, len(self._malformed)))
        return tuple(notes)


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:MAX_NAMED])
    return shown if len(names) <= MAX_NAMED else f"{shown} and {len(names) - MAX_NAMED} more"


def read_address(text: str, chain: str, *, path: str, chain_path: str) -> TokenAddress | Note:
    """Return the contract that two cells name, or the note that says why they name none.

    Without a chain the text must name it (`bsc:0x...`, CAIP-19), or have a form that only one chain
    has: `0x...` is an address on every EVM chain.
    """
    if chain:
        if token := named_address(chain, text):
            return token
        if not is_known_chain(chain):
            return Note(
                chain_path, f"{chain[:MAX_SHOWN]!r} is not a known chain - at `{chain_path}`"
            )
        return Note(
            path, f"{text[:MAX_SHOWN]!r} is not an address on {chain[:MAX_SHOWN]} - at `{path}`"
        )
    telling = telling_chain(text)
    if token := named_address(telling, text) if telling else parse_token(text):
        return token
    return Note(path, f"An address whose chain is not given, nor shown by its form - at `{path}`")
