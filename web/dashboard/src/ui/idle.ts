// Work that can wait until the browser has nothing else to do.

// The page is drawn and live by then, on all but the slowest connections.
const SETTLE_MS = 1_500;
const LONGEST_WAIT_MS = 10_000;

interface Network {
  saveData?: boolean;
}

/** Run jobs one after another, each when the browser is idle; none for a person who wants to save data. */
export async function whenIdle(jobs: (() => Promise<void>)[]): Promise<void> {
  const { connection } = navigator as Navigator & { connection?: Network };
  if (connection?.saveData) return;
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  for (const job of jobs) {
    await new Promise<void>((resolve) => {
      // Safari has no such callback.
      if ("requestIdleCallback" in window)
        requestIdleCallback(() => resolve(), { timeout: LONGEST_WAIT_MS });
      else setTimeout(resolve, 0);
    });
    await job();
  }
}
