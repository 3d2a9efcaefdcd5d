// The router: the page of an address, and links without a page load.
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

/** The page of a path; `root` is the overview, too. */
export function pageOf(path: string, root = ROOT): Page {
  if (path !== root && !path.startsWith(`${root}/`)) return { name: "missing" };
  let parts: string[];
  try {
    parts = path.slice(root.length).split("/").filter(Boolean).map(decodeURIComponent);
  } catch {
    return { name: "missing" };
  }
  const [base, section, id, ...rest] = parts;
  if (base === undefined) return { name: "coins" };
  if (base !== "dashboard" || rest.length > 0) return { name: "missing" };
  if (section === undefined || (section === "coins" && id === undefined)) return { name: "coins" };
  if (section === "coins" && id !== undefined) return { name: "coin", ticker: id.toUpperCase() };
  if (section === "runs") return id === undefined ? { name: "runs" } : { name: "run", id };
  if (section === "sources" && id === undefined) return { name: "sources" };
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

function notifyListeners(): void {
  for (const listener of [...listeners]) listener();
}

/** Go to another page of the dashboard; `state` becomes the history state. */
export function navigate(to: string, state: object | null = null): void {
  // If there is a new version, load it now, because the next page starts from its top anyway.
  if (isOutdated.get()) {
    location.assign(to);
    return;
  }
  history.pushState(state, "", to);
  window.scrollTo(0, 0);
  notifyListeners();
}

/** Change search parameters; null or "" removes one. It adds no entry to the history. */
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
  notifyListeners();
}

export function usePath(): string {
  return useSyncExternalStore(subscribe, () => location.pathname);
}

/** The search parameters. */
export function useSearch(): URLSearchParams {
  return new URLSearchParams(useSyncExternalStore(subscribe, () => location.search));
}

type LinkProps = AnchorHTMLAttributes<HTMLAnchorElement> & { href: string; state?: object };

export function Link({ onClick, state, ...props }: LinkProps) {
  const follow = (event: MouseEvent<HTMLAnchorElement>) => {
    onClick?.(event);
    // The browser handles new tabs, downloads and other buttons.
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
