// The notes of runs: a badge with their number, and the list of their texts.
import { Link, paths } from "../navigation/router";
import { whole } from "../format/number";
import type { RunNote } from "../overview/documents";

/** "1 note", "1,204 notes". */
export function notesLabel(count: number): string {
  return `${whole(count)} ${count === 1 ? "note" : "notes"}`;
}

/** The number of notes as a link to the run; nothing for a run without notes. */
export function NoteBadge({ run: { id, noteCount } }: { run: { id: string; noteCount: number } }) {
  if (noteCount === 0) return null;
  return (
    <Link className="badge caution" href={paths.run(id)}>
      {notesLabel(noteCount)}
      <span className="visually-hidden"> of {id.replace("_", " ")}</span>
    </Link>
  );
}

/** The notes, with a count if a note occurred more than once. */
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
