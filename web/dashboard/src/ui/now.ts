// One clock for all ages on the page. It ticks every second while the page is visible.
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

/** A value derived from the server's time in milliseconds; renders only when it changes. */
export function useNow<Derived extends string | number | boolean>(
  derive: (now: number) => Derived,
): Derived {
  return useSyncExternalStore(subscribe, () => derive(serverNow()));
}
