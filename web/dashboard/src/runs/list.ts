// A list of runs with one filter, newest first: read page by page, and new runs are prepended.
import { request } from "../api/request";
import { Store } from "../api/store";
import { type Run, type RunFilter, RunPage, type RunStatus } from "./documents";
import { runStore } from "./store";

export interface RunListState {
  ids: readonly string[];
  hasMore: boolean;
  loading: boolean;
  error: unknown;
}

const PAGE = 40;
// Limits the list of a page that stays open for days.
const MAX_RUNS = 1_000;

export class RunList {
  readonly state = new Store<RunListState>({ ids: [], hasMore: true, loading: false, error: null });
  #cursor: string | null = null;

  constructor(
    readonly source: string | null,
    readonly status: RunStatus | null,
    readonly withNotes = false,
  ) {}

  async loadMore(): Promise<void> {
    if (this.state.get().loading || !this.state.get().hasMore) return;
    await this.#read(this.#cursor);
  }

  async reload(): Promise<void> {
    await this.#read(null);
  }

  /** Prepend a run that is new or that matches the filter now. */
  take(run: Run): void {
    if (this.source !== null && run.source !== this.source) return;
    if (this.status !== null && run.status !== this.status) return;
    if (this.withNotes && run.noteCount === 0) return;
    const { ids } = this.state.get();
    if (!ids.includes(run.id)) this.state.patch({ ids: [run.id, ...ids].slice(0, MAX_RUNS) });
  }

  async #read(after: string | null): Promise<void> {
    this.state.patch({ loading: true, error: null });
    try {
      const { runs } = await request(RunPage, { filter: this.#filter(), first: PAGE, after });
      runStore.put(runs.nodes);
      this.#cursor = runs.pageInfo.endCursor;
      const ids = runs.nodes.map(({ id }) => id);
      const before = after === null ? [] : this.state.get().ids;
      this.state.patch({
        ids: [...new Set([...before, ...ids])],
        hasMore: runs.pageInfo.hasNextPage,
        loading: false,
      });
    } catch (error) {
      this.state.patch({ loading: false, error });
    }
  }

  #filter(): RunFilter {
    return {
      ...(this.source === null ? {} : { source: { eq: this.source } }),
      ...(this.status === null ? {} : { status: [this.status] }),
      ...(this.withNotes ? { hasNotes: true } : {}),
    };
  }
}
