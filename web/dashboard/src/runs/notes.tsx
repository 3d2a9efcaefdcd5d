// What runs notesOf: how much beside a status, and each note with its text.
import { Link, paths } from "../navigation/router";
import { whole } from "../format/number";
import type { RunNote } from "../overview/documents";

/** "1 note", "1,204 notes". */
export function notesLabel(count: number): string {
  return `${whole(count)} ${count === 1 ? "note" : "notes"}`;
}

/** Beside a run's status: how many notes it has, and the way to them; nothing where it has none. */
export function NoteBadge({ run: { id, noteCount } }: { run: { id: string; noteCount: number } }) {
  if (noteCount === 0) return null;
  return (
    <Link className="badge caution" href={paths.run(id)}>
      {notesLabel(noteCount)}
      <span className="unseen"> of {id.replace("_", " ")}</span>
    </Link>
  );
}

/** Each note, and how often it was notesOf where that is more than once. */
export function NoteList({ notes }: { notes: readonly RunNote[] }) {
  return (
    <ul className="run-notes">
      {notes.map(({ about, text, count }) => (
        <li key={about}>
          {text}
          {count > 1 && (
            <>
              {" "}
              <span className="badge">{whole(count)} times</span>
            </>
          )}
        </li>
      ))}
    </ul>
  );
}
