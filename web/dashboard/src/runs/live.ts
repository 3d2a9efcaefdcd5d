// Puts runUpdates into the store and the list.
import { request } from "../api/request";
import { follow } from "../api/socket";
import { Store } from "../api/store";
import { scheduleOverview } from "../overview/store";
import { type Run, RunPage, RunUpdates } from "./documents";
import { runStore } from "./store";

/** The run of the newest message; lists prepend it. */
export const latest = new Store<Run | null>(null);

/** The number of interruptions with lost messages. Lists reload when it changes. */
export const runGaps = new Store(0);

const NEWEST = 20;

export function followRuns(): void {
  follow(RunUpdates, {
    onMessage: ({ runUpdates: { cursor, type, run } }) => {
      runStore.put([run]);
      latest.set(run);
      if (type === "FINISHED") scheduleOverview();
      return cursor;
    },
    onGap: () => void catchUp(),
  });
}

async function catchUp(): Promise<void> {
  try {
    const { runs } = await request(RunPage, { first: NEWEST });
    runStore.put(runs.nodes);
    runGaps.set(runGaps.get() + 1);
  } catch {
    // Offline again: the next connection reports a gap, too.
  }
}
