// Queries the files of a source and how they were read, as in `kasparro check`.
import { graphql, type ResultOf } from "../api/graphql";
import { whole } from "../format/number";

export const SourceFiles = graphql(`
  query SourceFiles {
    sources {
      name
      kind
      files {
        name
        readAt
        form
        rows
        rejected
        columns {
          role
          header
          how
        }
        unreadHeaders
        unreadCount
        notes {
          text
          count
        }
        firstListings {
          ticker
          name
          priceUsd
          marketCapUsd
          volume24hUsd
          percentChange24h
          observedAt
          hasOwnTime
        }
      }
    }
  }
`);

export type File = ResultOf<typeof SourceFiles>["sources"][number]["files"][number];

/** The number of rows of a file, and of those that were rejected. */
export function counts({ rows, rejected }: File): string {
  const all = `${whole(rows)} ${rows === 1 ? "row" : "rows"}`;
  return rejected === 0 ? all : `${all}, ${whole(rejected)} rejected`;
}

/** The columns that are not read, in one line; null if there are none. */
export function unusedColumns({ unreadHeaders, unreadCount }: File): string | null {
  if (unreadCount === 0) return null;
  const more = unreadCount - unreadHeaders.length;
  return unreadHeaders.join(", ") + (more > 0 ? ` and ${whole(more)} more` : "");
}

/** The notes of a file, without the one on columns that are not read. */
export function notesOf({ notes }: File): { text: string; times: string }[] {
  return notes
    .filter(({ text }) => !text.startsWith("Columns that are not read"))
    .map(({ text, count }) => ({ text, times: count > 1 ? `${whole(count)} times` : "" }));
}
