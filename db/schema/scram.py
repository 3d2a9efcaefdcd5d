"""SCRAM verifiers of passwords (RFC 5802, RFC 7677): no statement and no log has a password."""

import base64
import hashlib
import hmac
import secrets

ITERATIONS = 4096  # PostgreSQL's own default, scram_iterations


def scram_sha_256(password: str, salt: bytes | None = None) -> str:
    """Return the SCRAM-SHA-256 verifier of an ASCII password, for ALTER ROLE ... PASSWORD."""
    salt = secrets.token_bytes(16) if salt is None else salt
    salted_password = hashlib.pbkdf2_hmac("sha256", password.encode("ascii"), salt, ITERATIONS)
    stored_key = hashlib.sha256(_hmac(salted_password, b"Client Key")).digest()
    server_key = _hmac(salted_password, b"Server Key")
    return f"SCRAM-SHA-256${ITERATIONS}:{_text(salt)}${_text(stored_key)}:{_text(server_key)}"


def _hmac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode()
