// coinUpdates into the store, and what may have been missed read again.
import { serverNow } from "../api/clock";
import type { ResultOf, VariablesOf } from "../api/graphql";
import { request } from "../api/request";
import { follow } from "../api/socket";
import { Store } from "../api/store";
import { type CoinOrder, CoinPage, CoinUpdates } from "./documents";
import { coinStore } from "./store";

/** How many updates were left out, because this page was too slow, that are still being read again; 0: none. */
export const behind = new Store(0);

const MAX_TICKERS = 1_000;
const PAGE = 250;
// A commit may become visible a little after the time that it carries.
const MARGIN_MS = 30_000;

let completeUntil = Date.now();
let catchingUp: Promise<void> = Promise.resolve();

/** Follow all coins: every dashboard asks for the same, so the server encodes each message once for all of them. */
export function followCoins(): void {
  follow(CoinUpdates, {
    onMessage: ({ coinUpdates: { cursor, coins, lagged } }) => {
      coinStore.update(coins);
      if (lagged > 0) {
        behind.set(behind.get() + lagged);
        catchUp();
      } else if (behind.get() === 0) {
        completeUntil = serverNow();
      }
      return cursor;
    },
    onGap: () => catchUp(),
  });
}

// One at a time: what lags while another is under way is read after it.
function catchUp(): void {
  catchingUp = catchingUp.then(readMissed);
}

/** Read again those of the coins known here that were saved since updates were last complete. */
async function readMissed(): Promise<void> {
  const lagged = behind.get();
  const began = serverNow();
  const gte = new Date(completeUntil - MARGIN_MS).toISOString();
  try {
    const tickers = coinStore.tickers();
    for (let start = 0; start < tickers.length; start += MAX_TICKERS) {
      await readSince(gte, tickers.slice(start, start + MAX_TICKERS));
    }
    completeUntil = began;
    behind.set(behind.get() - lagged);
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
