// Every run that the page knows, by id; and of each source the newest.
import { useSyncExternalStore } from "react";
import type { Run } from "./documents";

type Listener = () => void;

export class RunStore {
  readonly #runs = new Map<string, Run>();
  readonly #newest = new Map<string, Run>();
  readonly #listeners = new Set<Listener>();

  get(id: string): Run | undefined {
    return this.#runs.get(id);
  }

  newestOf(source: string): Run | undefined {
    return this.#newest.get(source);
  }

  subscribe = (listener: Listener): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** Take in runs as they stand; what is known to stand further already is left as it is. */
  put(runs: readonly Run[]): void {
    let changed = false;
    for (const run of runs) {
      const known = this.#runs.get(run.id);
      if (known && !isFurther(run, known)) continue;
      changed = true;
      this.#runs.set(run.id, run);
      const newest = this.#newest.get(run.source);
      if (!newest || run.id === newest.id || run.startedAt > newest.startedAt)
        this.#newest.set(run.source, run);
    }
    if (changed) for (const listener of [...this.#listeners]) listener();
  }
}

/** A run only ever goes forward: its counts grow, then it ends. An answer may be older than a message that came before it. */
export function isFurther(run: Run, known: Run): boolean {
  if (known.finishedAt !== null) return run.finishedAt !== null && run.status !== known.status;
  return run.finishedAt !== null || run.pages > known.pages || run.processed > known.processed;
}

export const runStore = new RunStore();

/** The run with this id, followed; undefined until the page knows it. */
export function useRun(id: string): Run | undefined {
  return useSyncExternalStore(runStore.subscribe, () => runStore.get(id));
}
