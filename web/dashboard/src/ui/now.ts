// One clock for all that tells an age: it ticks once a second, and not at all while nobody looks.
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

/** What `tell` makes of the server's time in milliseconds; draws again only when that changes. */
export function useNow<Told extends string | number | boolean>(tell: (now: number) => Told): Told {
  return useSyncExternalStore(subscribe, () => tell(serverNow()));
}
