"""What PostgreSQL stores in place of a password (RFC 5802, RFC 7677), so that no statement, and no log, holds one."""

import base64
import hashlib
import hmac
import secrets

ITERATIONS = 4096  # PostgreSQL's own default, scram_iterations


def scram_sha_256(password: str, salt: bytes | None = None) -> str:
    """Return the SCRAM-SHA-256 verifier of a password of ASCII characters, as ALTER ROLE ...

    PASSWORD takes it.
    """
    salt = secrets.token_bytes(16) if salt is None else salt
    salted = hashlib.pbkdf2_hmac("sha256", password.encode("ascii"), salt, ITERATIONS)
    stored = hashlib.sha256(_keyed(salted, b"Client Key")).digest()
    server = _keyed(salted, b"Server Key")
    return f"SCRAM-SHA-256${ITERATIONS}:{_text(salt)}${_text(stored)}:{_text(server)}"


def _keyed(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode()
