// Compares the prices of the sources.
import type { Excluded, Listing } from "./documents";

const HOUR_MS = 3_600_000;

export interface PriceStats {
  /** The listings whose prices count towards the spread: observed within an hour of the newest. */
  fresh: ReadonlySet<string>;
  /** The listings whose prices are held until a second poll: the spread has the ones before. */
  held: ReadonlySet<string>;
  low: number;
  high: number;
  /** The median of the fresh prices; null if there are none. */
  median: number | null;
}

/** Whether a listing's price is held, because it is far from the prices that it had before. */
export type IsHeld = (listing: Pick<Listing, "source" | "externalId">) => boolean;

export function heldPrices(excluded: readonly Excluded[]): IsHeld {
  return (listing) =>
    excluded.some(
      ({ source, externalId, field, reason }) =>
        reason === "JUMP" &&
        field === "priceUsd" &&
        source === listing.source &&
        externalId === listing.externalId,
    );
}

export function priceStatsOf(listings: readonly Listing[], isHeld: IsHeld): PriceStats {
  const held = new Set(listings.filter(isHeld).map(({ id }) => id));
  const priced = listings.filter(
    ({ id, priceUsd, active }) => priceUsd !== null && active && !held.has(id),
  );
  const newest = Math.max(...priced.map(({ observedAt }) => Date.parse(observedAt)));
  const fresh = priced.filter(({ observedAt }) => Date.parse(observedAt) >= newest - HOUR_MS);
  const prices = fresh.map(({ priceUsd }) => Number(priceUsd)).sort((one, other) => one - other);
  return {
    fresh: new Set(fresh.map(({ id }) => id)),
    held,
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
