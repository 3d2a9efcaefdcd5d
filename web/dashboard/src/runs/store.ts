// All known runs by id, and the newest run of each source.
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

  /** Store runs, except those of which a newer state is known. */
  put(runs: readonly Run[]): void {
    let changed = false;
    for (const run of runs) {
      const known = this.#runs.get(run.id);
      if (known && !isNewerState(run, known)) continue;
      changed = true;
      this.#runs.set(run.id, run);
      const newest = this.#newest.get(run.source);
      if (!newest || run.id === newest.id || run.startedAt > newest.startedAt)
        this.#newest.set(run.source, run);
    }
    if (changed) for (const listener of [...this.#listeners]) listener();
  }
}

/**
 * Whether `run` is a newer state than `known`: counts grow, then the run ends. A response may be
 * older than a message that arrived before it.
 */
export function isNewerState(run: Run, known: Run): boolean {
  if (known.finishedAt !== null) return run.finishedAt !== null && run.status !== known.status;
  return run.finishedAt !== null || run.pages > known.pages || run.processed > known.processed;
}

export const runStore = new RunStore();

/** Follow the run with this id; undefined until it is known. */
export function useRun(id: string): Run | undefined {
  return useSyncExternalStore(runStore.subscribe, () => runStore.get(id));
}
