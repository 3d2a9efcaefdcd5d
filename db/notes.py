"""Notes of a run: what it left out, doubts or could not date, counted by subject."""

import re
from collections.abc import Iterable, Sequence

import msgspec

from db.connect.types import Connection

_READ = "SELECT notes FROM etl_runs WHERE id = $1"
_WRITE = "UPDATE etl_runs SET notes = $2, note_count = note_count + $3 WHERE id = $1"
# A run that failed before its first page says nothing about the data, so use the run before it.
_REPEAT = """
UPDATE etl_runs AS r SET notes = before.notes, note_count = before.note_count
FROM (
    SELECT b.notes, b.note_count FROM etl_runs AS b
    WHERE b.source = $2 AND b.kind = 'ingest' AND b.id < $1
        AND (b.pages > 0 OR b.status = 'success')
    ORDER BY b.id DESC
    LIMIT 1
) AS before
WHERE r.id = $1 AND before.note_count > 0
"""

MAX_NOTES = 50
"""Different notes of one run; all others are counted as one."""
MAX_TEXT = 300
"""Characters of a note's text or subject."""
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
"""U+0000 and halves of surrogate pairs: PostgreSQL and UTF-8 cannot hold them."""


class Note(msgspec.Struct, frozen=True, gc=False):
    """What a successful run left out, doubts or could not date.

    Notes with equal `about` are merged and counted.
    """

    about: str
    text: str
    count: int = 1


def merge_notes(notes: Iterable[Note]) -> list[Note]:
    """Merge notes with equal `about`: the text of the first, and the sum of the counts."""
    merged: dict[str, Note] = {}
    for note in map(_storable, notes):
        if (before := merged.get(note.about)) is None and len(merged) < MAX_NOTES:
            merged[note.about] = note
            continue
        key = note.about if before else "more"
        before = before or merged.get(key) or Note(key, "More notes than one run keeps", 0)
        merged[key] = msgspec.structs.replace(before, count=before.count + note.count)
    return list(merged.values())


def _storable(note: Note) -> Note:
    return Note(_shorten(note.about), _shorten(note.text), note.count)


def _shorten(text: str) -> str:
    text = _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text)
    return text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 1]}…"


_NOTES = msgspec.json.Decoder(list[Note])


def decode_notes(column: msgspec.Raw) -> list[Note]:
    """Decode the column `notes` of a run."""
    return _NOTES.decode(column)


async def add_notes(connection: Connection, run_id: int, notes: Sequence[Note]) -> None:
    """Add a page's notes to its run; the caller's transaction holds the source's lock."""
    if notes:
        before = decode_notes(await connection.fetchval(_READ, run_id))
        together = msgspec.json.encode(merge_notes([*before, *notes])).decode()
        await connection.execute(_WRITE, run_id, together, sum(note.count for note in notes))


async def repeat_notes(connection: Connection, run_id: int, source: str) -> None:
    """Copy the notes of the previous run to a run without changes: they are still valid."""
    await connection.execute(_REPEAT, run_id, source)
