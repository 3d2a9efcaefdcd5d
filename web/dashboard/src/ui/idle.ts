// Runs work when the browser is idle.

// The page is rendered and live by then, except on slow connections.
const SETTLE_MS = 1_500;
const LONGEST_WAIT_MS = 10_000;

interface Network {
  saveData?: boolean;
}

/** Run jobs one after another, each when the browser is idle; none if it saves data. */
export async function whenIdle(jobs: (() => Promise<void>)[]): Promise<void> {
  const { connection } = navigator as Navigator & { connection?: Network };
  if (connection?.saveData) return;
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  for (const job of jobs) {
    await new Promise<void>((resolve) => {
      // Safari does not have requestIdleCallback.
      if ("requestIdleCallback" in window)
        requestIdleCallback(() => resolve(), { timeout: LONGEST_WAIT_MS });
      else setTimeout(resolve, 0);
    });
    await job();
  }
}
