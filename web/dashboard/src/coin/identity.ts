// What belongs to the asset of a coin: its tickers, and the listings that the record may use.
import type { Asset, Detail, Listing } from "./documents";

export interface AssetTicker {
  ticker: string;
  isCurrent: boolean;
  /** Whether the asset owns it. Another asset may have better evidence for the current ticker. */
  isOwned: boolean;
}

/** The tickers of an asset, its current one first; empty if it has only that of this coin. */
export function tickersOf({ ticker, coins }: Asset, here: string): AssetTicker[] {
  const owned = new Set(coins.map((coin) => coin.ticker));
  const all = [...new Set([ticker, ...owned])].map((one) => ({
    ticker: one,
    isCurrent: one === ticker,
    isOwned: owned.has(one),
  }));
  return all.every((one) => one.ticker === here) ? [] : all;
}

/**
 * The listings of the asset under all its tickers, those under the coin's own ticker first: the
 * record uses the best listing of each source. A coin without an asset has only its own.
 */
export function listingsOf({ ticker, asset, listings }: Detail): readonly Listing[] {
  if (!asset) return listings;
  const isOwn = (listing: Listing) => listing.ticker === ticker;
  return [...asset.listings.filter(isOwn), ...asset.listings.filter((listing) => !isOwn(listing))];
}
