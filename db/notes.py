"""Notes: what a run left out, read with a doubt or could not date, counted by what it is about."""

from collections.abc import Iterable

import msgspec

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
    for note in notes:
        if (before := found.get(note.about)) is None and len(found) < MAX_NOTES:
            found[note.about] = msgspec.structs.replace(note, text=note.text[:MAX_TEXT])
            continue
        key = note.about if before else "more"
        before = before or found.get(key) or Note(key, "More notes than one run keeps", 0)
        found[key] = msgspec.structs.replace(before, count=before.count + note.count)
    return list(found.values())
