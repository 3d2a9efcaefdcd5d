// Puts coinUpdates into the store, and reads missed updates again.
import { serverNow } from "../api/clock";
import type { ResultOf, VariablesOf } from "../api/graphql";
import { request } from "../api/request";
import { follow } from "../api/socket";
import { Store } from "../api/store";
import { type CoinOrder, CoinPage, CoinUpdates } from "./documents";
import { coinStore } from "./store";

/** The number of updates that this page was too slow for and that are being read again. */
export const missedUpdates = new Store(0);

const MAX_TICKERS = 1_000;
const PAGE = 250;
// A commit may become visible some seconds after its timestamp.
const MARGIN_MS = 30_000;

let completeUntil = Date.now();
let catchingUp: Promise<void> = Promise.resolve();

/** Follow all coins. All dashboards subscribe to the same, so the server encodes messages once. */
export function followCoins(): void {
  follow(CoinUpdates, {
    onMessage: ({ coinUpdates: { cursor, coins, lagged } }) => {
      coinStore.update(coins);
      if (lagged > 0) {
        missedUpdates.set(missedUpdates.get() + lagged);
        catchUp();
      } else if (missedUpdates.get() === 0) {
        completeUntil = serverNow();
      }
      return cursor;
    },
    onGap: () => catchUp(),
  });
}

// Runs one catch-up after the other.
function catchUp(): void {
  catchingUp = catchingUp.then(readMissed);
}

/** Read the known coins again that were saved since the updates were last complete. */
async function readMissed(): Promise<void> {
  const lagged = missedUpdates.get();
  const began = serverNow();
  const gte = new Date(completeUntil - MARGIN_MS).toISOString();
  try {
    const tickers = coinStore.tickers();
    for (let start = 0; start < tickers.length; start += MAX_TICKERS) {
      await readSince(gte, tickers.slice(start, start + MAX_TICKERS));
    }
    completeUntil = began;
    missedUpdates.set(missedUpdates.get() - lagged);
  } catch {
    // Offline again: the next connection resumes or catches up.
  }
}

async function readSince(gte: string, tickers: string[]): Promise<void> {
  const filter = { ticker: { in: tickers }, ingestedAt: { gte } };
  const orderBy: CoinOrder = { field: "TICKER", direction: "ASC" };
  let after: string | null = null;
  do {
    const variables: VariablesOf<typeof CoinPage> = { filter, orderBy, first: PAGE, after };
    const { coins }: ResultOf<typeof CoinPage> = await request(CoinPage, variables);
    coinStore.put(coins.nodes);
    after = coins.pageInfo.hasNextPage ? coins.pageInfo.endCursor : null;
  } while (after !== null);
}
