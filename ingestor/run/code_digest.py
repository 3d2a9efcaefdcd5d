"""A digest of the code that reads payloads and makes coins and history of them."""

import functools
import hashlib
import inspect
from pathlib import Path

import db.write.coins
import db.write.history
import db.write.listings
import db.write.merge
import db.write.missing_listings
import db.write.new_listings
import ingestor
from ingestor.sources.records import Source

_WRITERS = (
    db.write.coins,
    db.write.history,
    db.write.listings,
    db.write.merge,
    db.write.missing_listings,
    db.write.new_listings,
)


@functools.cache
def digest(kind: type[Source]) -> bytes:
    """Return the digest of the ingestor's files, those that define `kind`, and the merge's."""
    files = {path for folder in ingestor.__path__ for path in Path(folder).rglob("*.py")}
    files.update(Path(inspect.getfile(base)) for base in kind.__mro__[:-1])
    files.update(Path(inspect.getfile(module)) for module in _WRITERS)
    total = hashlib.blake2b(digest_size=16)
    for path in sorted(file for file in files if file.is_file()):
        total.update(path.read_bytes())
    return total.digest()
