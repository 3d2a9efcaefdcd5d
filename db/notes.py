"""Notes: what a run left out, read with a doubt or could not date, counted by what it is about."""

from collections.abc import Iterable, Sequence

import msgspec

from db.display import printable
from db.types import Connection

_READ = "SELECT notes::text FROM etl_runs WHERE id = $1"
_WRITE = "UPDATE etl_runs SET notes = $2::jsonb, note_count = note_count + $3 WHERE id = $1"

MAX_NOTES = 50
"""Different notes of one run; those after them are counted together."""
MAX_TEXT = 300


class Note(msgspec.Struct, frozen=True, gc=False):
    """Something that a run has to tell though it succeeds. Notes with equal `about` are one, `count` times."""

    about: str
    text: str
    count: int = 1


def gathered(notes: Iterable[Note]) -> list[Note]:
    """Return the notes with those about one thing counted together under the text of the first."""
    found: dict[str, Note] = {}
    for given in notes:
        # Of a file's headers and cells: PostgreSQL keeps no NUL.
        note = msgspec.structs.replace(given, about=printable(given.about), text=printable(given.text))
        if (before := found.get(note.about)) is None and len(found) < MAX_NOTES:
            found[note.about] = msgspec.structs.replace(note, text=note.text[:MAX_TEXT])
            continue
        key = note.about if before else "more"
        before = before or found.get(key) or Note(key, "More notes than one run keeps", 0)
        found[key] = msgspec.structs.replace(before, count=before.count + note.count)
    return list(found.values())


_NOTES = msgspec.json.Decoder(list[Note])


def decode_notes(text: str | bytes) -> list[Note]:
    """Return the notes that a run's row holds."""
    return _NOTES.decode(text)


async def add_notes(connection: Connection, run_id: int, notes: Sequence[Note]) -> None:
    """Add a page's notes to its run; the caller's transaction holds the source's lock."""
    if notes:
        before = decode_notes(await connection.fetchval(_READ, run_id))
        together = msgspec.json.encode(gathered([*before, *notes])).decode()
        await connection.execute(_WRITE, run_id, together, sum(note.count for note in notes))
