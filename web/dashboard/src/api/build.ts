// Which build this page is of, and whether the server has another one by now.
import { ROOT } from "./root";
import { Store } from "./store";

const RELOADED = "kasparro:reloaded";

/** The files that a page loads: the build names each for what it holds, so that another build has others. */
export function filesOf(page: ParentNode): string {
  const loading = page.querySelectorAll(
    "script[src], link[rel=stylesheet], link[rel=modulepreload]",
  );
  return [...loading]
    .map((element) => element.getAttribute("src") ?? element.getAttribute("href"))
    .join(" ");
}

// Read at the start: what is loaded later adds to the document.
const OURS = typeof document === "undefined" ? "" : filesOf(document);

/** Whether the server has another build than this page is of. */
export const isOutdated = new Store(false);

/** The build that the server has; null where it does not answer, or has none. */
async function askForBuild(): Promise<string | null> {
  try {
    const response = await fetch(`${ROOT}/dashboard`, {
      cache: "no-cache",
      headers: { Accept: "text/html" },
    });
    if (!response.ok) return null;
    return filesOf(new DOMParser().parseFromString(await response.text(), "text/html")) || null;
  } catch {
    return null;
  }
}

/** Ask the server which build it has. */
export async function lookForBuild(): Promise<void> {
  const build = await askForBuild();
  if (build !== null) isOutdated.set(build !== OURS);
}

/**
 * Load the page again because a part of its code is missing: after an upgrade the new page asks for what there is. By
 * itself a page does so once for each build; with `isForced` a person asked for it. Does nothing where the server does
 * not answer.
 */
export async function reload({ isForced }: { isForced: boolean }): Promise<void> {
  const build = await askForBuild();
  if (build === null || (build === sessionStorage.getItem(RELOADED) && !isForced)) return;
  sessionStorage.setItem(RELOADED, build);
  location.reload();
}
