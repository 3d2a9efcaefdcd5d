"""Which code reads payloads and makes coins and history of them, as a digest of its files."""

import functools
import hashlib
import inspect
from pathlib import Path

import db.write.coins
import db.write.history
import db.write.listings
import db.write.merge
import db.write.new_listings
import ingestor
from ingestor.sources.records import Source

_MAKING = (
    db.write.coins,
    db.write.history,
    db.write.listings,
    db.write.merge,
    db.write.new_listings,
)


@functools.cache
def digest(kind: type[Source]) -> bytes:
    """Return the digest of the ingestor's files, of those that `kind` is defined in, and of the rule of merging."""
    files = {path for folder in ingestor.__path__ for path in Path(folder).rglob("*.py")}
    files.update(Path(inspect.getfile(base)) for base in kind.__mro__[:-1])
    files.update(Path(inspect.getfile(module)) for module in _MAKING)
    total = hashlib.blake2b(digest_size=16)
    for path in sorted(file for file in files if file.is_file()):
        total.update(path.read_bytes())
    return total.digest()
