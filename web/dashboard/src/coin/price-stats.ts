// Compares the prices of the sources.
import type { Listing } from "./documents";

const HOUR_MS = 3_600_000;

export interface PriceStats {
  /** The listings whose prices count towards the spread: observed within an hour of the newest. */
  fresh: ReadonlySet<string>;
  low: number;
  high: number;
  /** The median of the fresh prices; null if there are none. */
  median: number | null;
}

export function priceStatsOf(listings: readonly Listing[]): PriceStats {
  const priced = listings.filter(({ priceUsd, active }) => priceUsd !== null && active);
  const newest = Math.max(...priced.map(({ observedAt }) => Date.parse(observedAt)));
  const fresh = priced.filter(({ observedAt }) => Date.parse(observedAt) >= newest - HOUR_MS);
  const prices = fresh.map(({ priceUsd }) => Number(priceUsd)).sort((one, other) => one - other);
  return {
    fresh: new Set(fresh.map(({ id }) => id)),
    low: prices[0] ?? 0,
    high: prices.at(-1) ?? 0,
    median: medianOf(prices),
  };
}

function medianOf(sorted: readonly number[]): number | null {
  const upper = sorted[Math.floor(sorted.length / 2)];
  const lower = sorted[Math.ceil(sorted.length / 2) - 1];
  return upper === undefined || lower === undefined ? null : (lower + upper) / 2;
}

/** The deviation of a price from the median, in per cent. */
export function distance(price: number, median: number): number {
  return ((price - median) / median) * 100;
}
