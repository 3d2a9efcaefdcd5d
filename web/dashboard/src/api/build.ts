// The build of this page, and whether the server has a newer one.
import { ROOT } from "./root";
import { Store } from "./store";

const RELOAD_KEY = "kasparro:reloaded";

/** The files that a page loads. Their names contain content hashes, so another build has others. */
export function filesOf(page: ParentNode): string {
  const loading = page.querySelectorAll(
    "script[src], link[rel=stylesheet], link[rel=modulepreload]",
  );
  return [...loading]
    .map((element) => element.getAttribute("src") ?? element.getAttribute("href"))
    .join(" ");
}

// Read at the start, because scripts that are loaded later are added to the document.
const OWN_FILES = typeof document === "undefined" ? "" : filesOf(document);

/** Whether the build of the server differs from the build of this page. */
export const isOutdated = new Store(false);

/** The build of the server; null if the server does not answer or has no build. */
async function fetchBuild(): Promise<string | null> {
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

/** Compare the build of the server with the build of this page. */
export async function checkBuild(): Promise<void> {
  const build = await fetchBuild();
  if (build !== null) isOutdated.set(build !== OWN_FILES);
}

/**
 * Reload the page because a part of its code is missing: after an upgrade the new page loads the
 * new files. Reloads only once for each build, unless the user asks for it (`isForced`). Does
 * nothing if the server does not answer.
 */
export async function reload({ isForced }: { isForced: boolean }): Promise<void> {
  const build = await fetchBuild();
  if (build === null || (build === sessionStorage.getItem(RELOAD_KEY) && !isForced)) return;
  sessionStorage.setItem(RELOAD_KEY, build);
  location.reload();
}
