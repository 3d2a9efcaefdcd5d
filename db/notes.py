"""Notes: what a run left out, read with a doubt or could not date, counted by what it is about."""

import re
from collections.abc import Iterable, Sequence

import msgspec

from db.connect.types import Connection

_READ = "SELECT notes FROM etl_runs WHERE id = $1"
_WRITE = "UPDATE etl_runs SET notes = $2, note_count = note_count + $3 WHERE id = $1"
# A failure or a kill before the first page says nothing about the data; what ran before it does.
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
"""Different notes of one run; those after them are counted together."""
MAX_TEXT = 300
"""Characters of a note's text or subject."""
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
"""U+0000 and halves of surrogate pairs: PostgreSQL and UTF-8 cannot hold them."""


class Note(msgspec.Struct, frozen=True, gc=False):
    """What a run left out, doubts or could not date, though it succeeded.

    Notes with equal `about` are one, `count` times.
    """

    about: str
    text: str
    count: int = 1


def gathered(notes: Iterable[Note]) -> list[Note]:
    """Return the notes with those about one thing counted together under the text of the first."""
    found: dict[str, Note] = {}
    for note in map(_storable, notes):
        if (before := found.get(note.about)) is None and len(found) < MAX_NOTES:
            found[note.about] = note
            continue
        key = note.about if before else "more"
        before = before or found.get(key) or Note(key, "More notes than one run keeps", 0)
        found[key] = msgspec.structs.replace(before, count=before.count + note.count)
    return list(found.values())


def _storable(note: Note) -> Note:
    return Note(_shortened(note.about), _shortened(note.text), note.count)


def _shortened(text: str) -> str:
    text = _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text)
    return text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 1]}…"


_NOTES = msgspec.json.Decoder(list[Note])


def decode_notes(column: msgspec.Raw) -> list[Note]:
    """Return the notes that the column `notes` of a run's row holds."""
    return _NOTES.decode(column)


async def add_notes(connection: Connection, run_id: int, notes: Sequence[Note]) -> None:
    """Add a page's notes to its run; the caller's transaction holds the source's lock."""
    if notes:
        before = decode_notes(await connection.fetchval(_READ, run_id))
        together = msgspec.json.encode(gathered([*before, *notes])).decode()
        await connection.execute(_WRITE, run_id, together, sum(note.count for note in notes))


async def repeat_notes(connection: Connection, run_id: int, source: str) -> None:
    """Give a run that found nothing changed the notes of the run before it: what they say still holds."""
    await connection.execute(_REPEAT, run_id, source)
