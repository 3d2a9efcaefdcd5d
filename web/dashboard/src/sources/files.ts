// The files of a source: how each was read, as `kasparro check` shows it.
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

/** How many rows a file had and how many of them are not read. */
export function counts({ rows, rejected }: File): string {
  const all = `${whole(rows)} ${rows === 1 ? "row" : "rows"}`;
  return rejected === 0 ? all : `${all}, ${whole(rejected)} rejected`;
}

/** The columns that are not read, in one line; null where there is none. */
export function unread({ unreadHeaders, unreadCount }: File): string | null {
  if (unreadCount === 0) return null;
  const more = unreadCount - unreadHeaders.length;
  return unreadHeaders.join(", ") + (more > 0 ? ` and ${whole(more)} more` : "");
}

/** What is notesOf of a file; the columns that are not read have a line of their own. */
export function notesOf({ notes }: File): { text: string; times: string }[] {
  return notes
    .filter(({ text }) => !text.startsWith("Columns that are not read"))
    .map(({ text, count }) => ({ text, times: count > 1 ? `${whole(count)} times` : "" }));
}
