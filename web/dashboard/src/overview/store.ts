// The sources and statistics of the service, refreshed for all pages.
import { request } from "../api/request";
import { connection } from "../api/socket";
import { Store, useStore } from "../api/store";
import { Overview, type Source, type Stats } from "./documents";

export interface OverviewState {
  sources: readonly Source[] | null;
  stats: Stats | null;
  error: unknown;
}

export const overview = new Store<OverviewState>({ sources: null, stats: null, error: null });

// Health also changes without an event, when a poll is overdue.
const EVERY_MS = 15_000;
// Runs of several sources may end together.
const SETTLE_MS = 300;

let timer: ReturnType<typeof setTimeout> | undefined;

async function refresh(): Promise<void> {
  try {
    const { sources, stats } = await request(Overview, {});
    overview.set({ sources, stats, error: null });
  } catch (error) {
    overview.patch({ error });
  }
  scheduleOverview(EVERY_MS);
}

/** Refresh the overview soon, after an event that changes it. */
export function scheduleOverview(milliseconds = SETTLE_MS): void {
  clearTimeout(timer);
  timer = setTimeout(() => void refresh(), milliseconds);
}

export function followOverview(): void {
  void refresh();
  let epoch = connection.get().epoch;
  connection.subscribe(() => {
    if (connection.get().epoch !== epoch) scheduleOverview();
    epoch = connection.get().epoch;
  });
}

/** The age at which a source's value is stale, in milliseconds: three polls. */
export function staleAfter(sources: readonly Source[] | null, name: string): number {
  const source = sources?.find((one) => one.name === name);
  return source ? source.pollSeconds * 3_000 : Number.POSITIVE_INFINITY;
}

export function useOverview(): OverviewState {
  return useStore(overview);
}

/** Whether the prices are made up. */
export function useIsDemo(): boolean {
  return useOverview().stats?.isDemo ?? false;
}
