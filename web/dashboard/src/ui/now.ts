// One clock for every age on the page. It ticks once a second, and not while the page is hidden.
import { useSyncExternalStore } from "react";
import { serverNow } from "../api/clock";

const listeners = new Set<() => void>();
let timer: ReturnType<typeof setInterval> | undefined;

function tick(): void {
  if (document.visibilityState === "visible") for (const listener of [...listeners]) listener();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  timer ??= setInterval(tick, 1_000);
  return () => {
    listeners.delete(listener);
    if (listeners.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  };
}

/** What `derive` makes of the server's time in milliseconds; draws again only when that changes. */
export function useNow<Derived extends string | number | boolean>(
  derive: (now: number) => Derived,
): Derived {
  return useSyncExternalStore(subscribe, () => derive(serverNow()));
}
