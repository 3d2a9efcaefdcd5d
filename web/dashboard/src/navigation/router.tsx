// Addresses: which page they name, and links that change it without a load.
import { type AnchorHTMLAttributes, type MouseEvent, useSyncExternalStore } from "react";
import { isOutdated } from "../api/build";
import { ROOT } from "../api/root";

export type Page =
  | { name: "coins" }
  | { name: "coin"; ticker: string }
  | { name: "runs" }
  | { name: "run"; id: string }
  | { name: "sources" }
  | { name: "missing" };

const BASE = `${ROOT}/dashboard`;

export const paths = {
  coins: BASE,
  coin: (ticker: string) => `${BASE}/coins/${encodeURIComponent(ticker)}`,
  runs: `${BASE}/runs`,
  run: (id: string) => `${BASE}/runs/${encodeURIComponent(id)}`,
  sources: `${BASE}/sources`,
};

/** The page that a path names; `root` itself is the overview, too. */
export function pageOf(path: string, root = ROOT): Page {
  if (path !== root && !path.startsWith(`${root}/`)) return { name: "missing" };
  let parts: string[];
  try {
    parts = path.slice(root.length).split("/").filter(Boolean).map(decodeURIComponent);
  } catch {
    return { name: "missing" };
  }
  const [base, room, id, ...rest] = parts;
  if (base === undefined) return { name: "coins" };
  if (base !== "dashboard" || rest.length > 0) return { name: "missing" };
  if (room === undefined || (room === "coins" && id === undefined)) return { name: "coins" };
  if (room === "coins" && id !== undefined) return { name: "coin", ticker: id.toUpperCase() };
  if (room === "runs") return id === undefined ? { name: "runs" } : { name: "run", id };
  if (room === "sources" && id === undefined) return { name: "sources" };
  return { name: "missing" };
}

const listeners = new Set<() => void>();

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  window.addEventListener("popstate", listener);
  return () => {
    listeners.delete(listener);
    window.removeEventListener("popstate", listener);
  };
}

function moved(): void {
  for (const listener of [...listeners]) listener();
}

/** Go to an address of this page's own; `state` is what is remembered of how one came there. */
export function navigate(to: string, state: object | null = null): void {
  // The load that a new version needs is here, where a page would begin from its top anyway.
  if (isOutdated.get()) {
    location.assign(to);
    return;
  }
  history.pushState(state, "", to);
  window.scrollTo(0, 0);
  moved();
}

/** Change what stands after the "?"; null or "" takes a word away. Going back does not pass through each change. */
export function replaceSearch(changes: Record<string, string | null>): void {
  const search = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(changes)) {
    if (value) search.set(name, value);
    else search.delete(name);
  }
  const text = search.toString();
  history.replaceState(
    history.state,
    "",
    text ? `${location.pathname}?${text}` : location.pathname,
  );
  moved();
}

export function usePath(): string {
  return useSyncExternalStore(subscribe, () => location.pathname);
}

/** The words after the "?". */
export function useSearch(): URLSearchParams {
  return new URLSearchParams(useSyncExternalStore(subscribe, () => location.search));
}

type LinkProps = AnchorHTMLAttributes<HTMLAnchorElement> & { href: string; state?: object };

export function Link({ onClick, state, ...props }: LinkProps) {
  const follow = (event: MouseEvent<HTMLAnchorElement>) => {
    onClick?.(event);
    // A new tab, a download, a right button: the browser's business.
    if (
      event.defaultPrevented ||
      event.button !== 0 ||
      event.metaKey ||
      event.ctrlKey ||
      event.shiftKey ||
      event.altKey
    )
      return;
    event.preventDefault();
    navigate(props.href, state);
  };
  return <a {...props} onClick={follow} />;
}
