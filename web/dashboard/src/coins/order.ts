// The orders of the table: the fields of the API, and the comparison of two coins.
import type { Coin, CoinOrder, CoinOrderField } from "./documents";

type Value = number | string | null;

function amount(text: string | null): number | null {
  return text === null ? null : Number(text);
}

const VALUES: Record<CoinOrderField, (coin: Coin) => Value> = {
  MARKET_CAP_USD: (coin) => amount(coin.marketCapUsd),
  VOLUME_24H_USD: (coin) => amount(coin.volume24hUsd),
  PRICE_USD: (coin) => amount(coin.priceUsdExact),
  PERCENT_CHANGE_24H: (coin) => coin.percentChange24h,
  TICKER: (coin) => coin.ticker,
  NAME: (coin) => coin.name,
  CREATED_AT: (coin) => coin.createdAt,
  INGESTED_AT: (coin) => coin.ingestedAt,
};

/** The direction after the first click on a header: largest numbers first, names from A to Z. */
export function firstDirection(field: CoinOrderField): CoinOrder["direction"] {
  return field === "TICKER" || field === "NAME" ? "ASC" : "DESC";
}

export const DEFAULT_ORDER: CoinOrder = { field: "MARKET_CAP_USD", direction: "DESC" };

/** Whether live changes have put listed coins out of order. Names and tickers do not change. */
export function isOutOfOrder(coins: Iterable<Coin | undefined>, order: CoinOrder): boolean {
  if (order.field === "TICKER" || order.field === "NAME") return false;
  const valueOf = VALUES[order.field];
  let previous: Value | undefined;
  for (const coin of coins) {
    if (!coin) continue;
    const value = valueOf(coin);
    if (previous !== undefined && !mayFollow(previous, value, order.direction)) return true;
    previous = value;
  }
  return false;
}

// Nulls come last in either direction.
function mayFollow(first: Value, second: Value, direction: CoinOrder["direction"]): boolean {
  if (second === null) return true;
  if (first === null) return false;
  return direction === "ASC" ? first <= second : first >= second;
}
