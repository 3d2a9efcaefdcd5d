"""The normal forms of contract addresses: two texts of one contract become one text.

The forms are those of the chains' own documentation: EIP-55 (letters of either case are one
address), Aptos AIP-40, Sui's `normalizeStructTag`, ICS-20 (`ibc/` and a hash), TEP-2 of TON.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Callable
from typing import Final

MAX_LENGTH: Final = 200
"""Characters of an address; what is longer is not one."""

_BASE58: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_EVM = re.compile(r"(?:0x|xdc)([0-9a-fA-F]{40})(?:[/#?].*)?")
_NATIVE: Final = frozenset({"0" * 40, "e" * 40})
"""Placeholders for a chain's own coin. Many coins claim them."""
_MOVE = re.compile(r"0x([0-9a-fA-F]{1,64})((?:::[A-Za-z_]\w*){2}(?:<.*>)?)?")
_HEX = re.compile(r"(?:0x)?([0-9a-fA-F]{8,128})")
_FELT = re.compile(r"0x([0-9a-fA-F]{1,64})")
_IBC = re.compile(r"ibc/([0-9a-f]{64})", re.IGNORECASE)
_CW20 = re.compile(r"(?:cw20:)+")
_BECH32 = re.compile(r"[a-z]{1,83}1[02-9ac-hj-np-z]{38,58}")
_NEAR = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*")
_STELLAR = re.compile(r"((?:[A-Za-z0-9]{1,12}[-:])?)([GCgc][A-Za-z2-7]{55})(?:-[12])?")
_BEP2 = re.compile(r"[A-Z0-9]{2,12}-[A-F0-9]{3}[A-Z]?", re.IGNORECASE)
_HEDERA = re.compile(r"\d+\.\d+\.\d+")
_ANTELOPE = re.compile(r"[a-z1-5.]{1,13}")
_RAW_TON = re.compile(r"(-1|0):([0-9a-fA-F]{64})")
_TON_BYTES: Final = 36
_SHORT_MOVE: Final = 16
"""Addresses below are written without zeros (AIP-40): `0x1::aptos_coin::AptosCoin`."""


def _evm(text: str) -> str | None:
    match = _EVM.fullmatch(text)
    digits = match and match[1].lower()
    return f"0x{digits}" if digits and digits not in _NATIVE else None


def _base58_bytes(text: str) -> bytes | None:
    number = 0
    for character in text:
        digit = _BASE58.find(character)
        if digit < 0:
            return None
        number = number * 58 + digit
    zeros = len(text) - len(text.lstrip("1"))
    return bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8, "big")


def _key_of_32_bytes(text: str) -> str | None:
    decoded = _base58_bytes(text) if 32 <= len(text) <= 44 else None  # noqa: PLR2004 - of 32 bytes
    return text if decoded is not None and len(decoded) == 32 else None  # noqa: PLR2004 - as above


def _tron(text: str) -> str | None:
    """Return a TRC-20 contract with a right checksum, or the number of a TRC-10 token."""
    if re.fullmatch(r"\d{7}", text):
        return text
    text = text.partition("/")[0]  # of an explorer's page
    decoded = _base58_bytes(text) if re.fullmatch(r"T\w{33}", text) else None
    if decoded is None:
        return None
    body, checksum = decoded[:-4], decoded[-4:]
    return text if hashlib.sha256(hashlib.sha256(body).digest()).digest()[:4] == checksum else None


def _move(text: str) -> str | None:
    match = _MOVE.fullmatch(text)
    if match is None:
        return None
    number = int(match[1], 16)
    address = f"0x{number:x}" if number < _SHORT_MOVE else f"0x{number:064x}"
    return address + (match[2] or "")


def _cosmos(text: str) -> str | None:
    if match := _IBC.fullmatch(text):
        return f"ibc/{match[1].upper()}"
    text = _CW20.sub("", text, count=1) if text.startswith("cw20:") else text
    if _BECH32.fullmatch(text.lower()):
        return text.lower()
    return None if text.startswith("0x") else _text(text) or None


def _ton(text: str) -> str | None:
    """Return the raw form; the friendly one tells beside it whether a message may bounce."""
    if match := _RAW_TON.fullmatch(text):
        return f"{match[1]}:{match[2].lower()}"
    try:
        decoded = base64.b64decode(text.translate({45: "+", 95: "/"}), validate=True)
    except (binascii.Error, ValueError):
        return None
    if len(decoded) != _TON_BYTES or binascii.crc_hqx(decoded[:34], 0) != int.from_bytes(
        decoded[34:], "big"
    ):
        return None
    return f"{int.from_bytes(decoded[1:2], 'big', signed=True)}:{decoded[2:34].hex()}"


def _stellar(text: str) -> str | None:
    """Return `CODE-ISSUER`, a contract or an issuer; the code keeps its letters' case."""
    match = _STELLAR.fullmatch(text)
    return match[1].replace(":", "-") + match[2].upper() if match else None


def _hex(text: str) -> str | None:
    return match[1].lower() if (match := _HEX.fullmatch(text)) else None


def _hex32(text: str) -> str | None:
    return text.lower() if re.fullmatch(r"0x[0-9a-fA-F]{64}", text) else None


def _felt(text: str) -> str | None:
    return f"0x{int(match[1], 16):064x}" if (match := _FELT.fullmatch(text)) else None


def _lower(text: str) -> str | None:
    return _text(text.lower())


def _near(text: str) -> str | None:
    return text.lower() if _NEAR.fullmatch(text.lower()) else None


def _text(text: str) -> str | None:
    return text if text.isprintable() and " " not in text else None


def _matching(pattern: re.Pattern[str], change: Callable[[str], str] = str) -> "Form":
    return lambda text: change(text) if pattern.fullmatch(text) else None


Form = Callable[[str], str | None]
FORMS: Final[dict[str, Form]] = {
    "evm": _evm,
    "solana": _key_of_32_bytes,
    "waves": _key_of_32_bytes,
    "tron": _tron,
    "move": _move,
    "cosmos": _cosmos,
    "ton": _ton,
    "stellar": _stellar,
    "hex": _hex,
    "hex32": _hex32,
    "felt": _felt,
    "near": _near,
    "bep2": _matching(_BEP2, str.upper),
    "hedera": _matching(_HEDERA),
    "algorand": _matching(re.compile(r"\d{1,20}")),
    "antelope": _matching(_ANTELOPE),
    "lower": _lower,
    "text": _text,
}
"""By `address_form` of data/chains.csv: the normal form of a text, None if it has none."""

_TELLING: Final[tuple[tuple[re.Pattern[str], str], ...]] = (
    (re.compile(r"T\w{33}"), "tron"),
    (re.compile(r"KT1\w{33}"), "tezos"),
    (re.compile(r"cx[0-9a-f]{40}"), "icon"),
    (re.compile(r"zil1[02-9ac-hj-np-z]{38}"), "zilliqa"),
    (re.compile(r"osmo1[02-9ac-hj-np-z]{38,58}|factory/osmo1.+"), "osmosis"),
    (re.compile(r"secret1[02-9ac-hj-np-z]{38}"), "secret"),
    (re.compile(r"[EU]Q[\w-]{46}"), "ton"),
    (re.compile(r"[a-z0-9_.-]+\.near"), "near"),
    (re.compile(r"(?:[A-Za-z0-9]{1,12}[-:])?G[A-Z2-7]{55}"), "stellar"),
)


def telling_chain(text: str) -> str | None:
    """Return the one chain on which an address of this form can be, None if there are several.

    An EVM address is the same on every EVM chain. A key of 32 bytes can be on Solana or Waves.
    """
    return next((chain for form, chain in _TELLING if form.fullmatch(text.strip())), None)
