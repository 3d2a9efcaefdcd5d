// The candles of a coin at one interval. It reads the newest first, older ones as the user scrolls
// back, and the last ones again when the price changes.
import { serverNow } from "../api/clock";
import { request } from "../api/request";
import { Store } from "../api/store";
import { type Candle, Candles, type Interval } from "./documents";

const MINUTE_MS = 60_000;

export const INTERVALS: Record<Interval, { label: string; name: string; ms: number }> = {
  M1: { label: "1m", name: "1 minute", ms: MINUTE_MS },
  M5: { label: "5m", name: "5 minutes", ms: 5 * MINUTE_MS },
  M15: { label: "15m", name: "15 minutes", ms: 15 * MINUTE_MS },
  H1: { label: "1h", name: "1 hour", ms: 60 * MINUTE_MS },
  H4: { label: "4h", name: "4 hours", ms: 240 * MINUTE_MS },
  D1: { label: "1d", name: "1 day", ms: 1_440 * MINUTE_MS },
  W1: { label: "1w", name: "1 week", ms: 10_080 * MINUTE_MS },
};

export interface CandleState {
  candles: readonly Candle[];
  /** Whether the newest candles have been read. */
  loaded: boolean;
  hasOlder: boolean;
  error: unknown;
}

// The API returns at most 1,000 candles.
const SPAN = 900;

export class CandleFeed {
  readonly state = new Store<CandleState>({
    candles: [],
    loaded: false,
    hasOlder: true,
    error: null,
  });
  #busy = false;
  #again = false;

  constructor(
    readonly ticker: string,
    readonly interval: Interval,
  ) {}

  /** Read the newest candles, or only those that may have changed since the last call. */
  async refresh(): Promise<void> {
    if (this.#busy) {
      this.#again = true;
      return;
    }
    await this.#reading(async () => {
      const { candles, hasOlder } = this.state.get();
      const last = candles.at(-1);
      const from = last ? Date.parse(last.start) : serverNow() - SPAN * INTERVALS[this.interval].ms;
      const fresh = await this.#read(from, null);
      this.state.set({
        candles: mergeCandles(candles, fresh),
        loaded: true,
        hasOlder: hasOlder && (candles.length > 0 || fresh.length > 0),
        error: null,
      });
    });
    if (this.#again) {
      this.#again = false;
      await this.refresh();
    }
  }

  /** Read the candles before the oldest known one. */
  async loadOlder(): Promise<void> {
    const { candles, hasOlder } = this.state.get();
    const first = candles[0];
    if (this.#busy || !hasOlder || !first) return;
    await this.#reading(async () => {
      const to = Date.parse(first.start);
      const older = await this.#read(to - SPAN * INTERVALS[this.interval].ms, to);
      this.state.patch({
        candles: mergeCandles(older, this.state.get().candles),
        hasOlder: older.length > 0,
      });
    });
  }

  async #reading(work: () => Promise<void>): Promise<void> {
    this.#busy = true;
    try {
      await work();
    } catch (error) {
      this.state.patch({ error });
    } finally {
      this.#busy = false;
    }
  }

  async #read(from: number, to: number | null): Promise<readonly Candle[]> {
    const { coin } = await request(Candles, {
      ticker: this.ticker,
      interval: this.interval,
      from: new Date(from).toISOString(),
      to: to === null ? null : new Date(to).toISOString(),
    });
    return coin?.candles ?? [];
  }
}

/** Merge two ranges; where they overlap, the newer candles replace the older ones. */
export function mergeCandles(
  older: readonly Candle[],
  newer: readonly Candle[],
): readonly Candle[] {
  const first = newer[0];
  return first ? [...older.filter(({ start }) => start < first.start), ...newer] : older;
}
