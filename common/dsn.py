"""The address of a database: in the form that asyncpg accepts, and in a form to show."""

from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

# Parameters of libpq, SQLAlchemy and poolers. asyncpg would send them to the server, which refuses.
_FOREIGN_PARAMETERS = frozenset(
    {
        "channel_binding",
        "connect_timeout",
        "gssencmode",
        "keepalives",
        "keepalives_count",
        "keepalives_idle",
        "keepalives_interval",
        "pgbouncer",
        "prepared_statement_cache_size",
    }
)


class DatabaseUrlError(ValueError):
    """A text is not a PostgreSQL URL; the message omits it, since it may contain a password."""

    def __init__(self) -> None:
        super().__init__(
            "a PostgreSQL URL such as postgresql://user:password@host:5432/name, special "
            "characters percent-encoded"
        )


def normalize_dsn(url: str) -> str:
    """Return `url` for asyncpg: scheme `postgresql`, `sslmode` for `ssl`, no foreign parameters.

    Accepts `postgres://` and `postgresql+driver://` too. Raises DatabaseUrlError.
    """
    scheme, separator, rest = url.strip().partition("://")
    if not separator or scheme.partition("+")[0] not in ("postgres", "postgresql"):
        raise DatabaseUrlError
    try:
        parts = urlsplit(f"postgresql://{rest}")
        # A raw '/', '?' or '#' in a password ends the host part early: the port is then not a
        # number.
        usable = "," in parts.netloc or parts.port != 0
        parameters = parse_qsl(parts.query, strict_parsing=True) if parts.query else []
    except ValueError:
        raise DatabaseUrlError from None
    if not usable or parts.fragment:
        raise DatabaseUrlError
    pairs = [
        ("sslmode" if key == "ssl" else key, value)
        for key, value in parameters
        if key not in _FOREIGN_PARAMETERS
    ]
    query = f"?{urlencode(pairs, safe='/', quote_via=quote)}" if pairs else ""
    return f"postgresql://{parts.netloc}{parts.path}{query}"


def database_location(dsn: str) -> str:
    """Return `host:port/database` of a DSN, without user and password."""
    parts = urlsplit(dsn)
    query = dict(parse_qsl(parts.query))
    host = unquote(parts.netloc.rpartition("@")[2]) or query.get("host", "localhost")
    if not host.startswith("/") and ":" not in host.rpartition("]")[2]:
        host = f"{host}:{query.get('port', '5432')}"
    return f"{host}{parts.path}"
