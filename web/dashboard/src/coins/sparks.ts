// The sparkline of each coin: the last day, or the last hour if there is less history. Visible rows
// request theirs in batches.
import { serverNow } from "../api/clock";
import { type ResultOf } from "../api/graphql";
import { request } from "../api/request";
import { Sparklines } from "./documents";

export interface Spark {
  /** The time that its width covers, in milliseconds. */
  span: number;
  /** Times and prices, oldest first. */
  points: readonly (readonly [at: number, price: number])[];
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const BATCH = 50;
const BATCH_DELAY_MS = 60;
const FRESH_MS = 5 * 60_000;
// Reload a short sparkline this often: a backfill or a new demo may be adding history.
const GROWING_MS = 15_000;
// With fewer hours than this the sparkline shows the last hour.
const MIN_HOURS = 6;

type Series = ResultOf<typeof Sparklines>["coins"]["nodes"][number]["day"];

export class SparkStore {
  readonly #sparks = new Map<string, Spark>();
  readonly #requestedAt = new Map<string, number>();
  readonly #listeners = new Map<string, () => void>();
  #pending = new Set<string>();
  #scheduled = false;

  get(ticker: string): Spark | undefined {
    return this.#sparks.get(ticker);
  }

  /** Follow the sparkline of a visible row; it is requested unless a fresh one is known. */
  subscribe(ticker: string, listener: () => void): () => void {
    this.#listeners.set(ticker, listener);
    this.#requestUnlessRecent(ticker, FRESH_MS);
    return () => {
      if (this.#listeners.get(ticker) === listener) this.#listeners.delete(ticker);
      this.#pending.delete(ticker);
    };
  }

  /** Append a price to a known sparkline. */
  extend(ticker: string, at: number, price: number): void {
    const spark = this.#sparks.get(ticker);
    const last = spark?.points.at(-1);
    if (spark && spark.span < DAY_MS) this.#requestUnlessRecent(ticker, GROWING_MS);
    if (!spark || !last || at <= last[0]) return;
    const points = [
      ...spark.points.filter(([time]) => time > at - spark.span),
      [at, price] as const,
    ];
    this.#set(ticker, { ...spark, points });
  }

  #requestUnlessRecent(ticker: string, milliseconds: number): void {
    if (Date.now() - (this.#requestedAt.get(ticker) ?? 0) <= milliseconds) return;
    this.#pending.add(ticker);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setTimeout(() => void this.#request(), BATCH_DELAY_MS);
  }

  async #request(): Promise<void> {
    this.#scheduled = false;
    const tickers = [...this.#pending].slice(0, BATCH);
    for (const ticker of tickers) {
      this.#pending.delete(ticker);
      this.#requestedAt.set(ticker, Date.now());
    }
    if (this.#pending.size > 0) this.#schedule();
    const now = serverNow();
    const [day, hour] = [DAY_MS, HOUR_MS].map((span) => new Date(now - span).toISOString()) as [
      string,
      string,
    ];
    try {
      const { coins } = await request(Sparklines, { tickers, first: tickers.length, day, hour });
      for (const coin of coins.nodes) this.#set(coin.ticker, selectSeries(coin.day, coin.hour));
    } catch {
      // A row works without a sparkline. It is requested again when the row is next visible.
      for (const ticker of tickers) this.#requestedAt.delete(ticker);
    }
  }

  #set(ticker: string, spark: Spark): void {
    this.#sparks.set(ticker, spark);
    this.#listeners.get(ticker)?.();
  }
}

function selectSeries(day: Series, hour: Series): Spark {
  const isLong = day.length >= MIN_HOURS;
  const points = (isLong ? day : hour).map(
    ({ start, close }) => [Date.parse(start), Number(close)] as const,
  );
  return { span: isLong ? DAY_MS : HOUR_MS, points };
}

export const sparkStore = new SparkStore();

/** The SVG path of a sparkline over the whole width; null with fewer than two points. */
export function sparkPath({ points }: Spark, width: number, height: number): string | null {
  const first = points[0];
  const last = points.at(-1);
  if (!first || !last || points.length < 2) return null;
  const prices = points.map(([, price]) => price);
  const low = Math.min(...prices);
  const range = Math.max(...prices) - low;
  const x = (at: number) => (((at - first[0]) / (last[0] - first[0])) * width).toFixed(1);
  const y = (price: number) =>
    (range === 0 ? height / 2 : height - ((price - low) / range) * height).toFixed(1);
  return `M${points.map(([at, price]) => `${x(at)} ${y(price)}`).join("L")}`;
}
