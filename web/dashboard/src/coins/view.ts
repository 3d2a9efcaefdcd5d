// The state of the overview in the address, for links and the back button.
import type { CoinFilter, CoinOrder, CoinOrderField } from "./documents";
import { DEFAULT_ORDER, firstDirection } from "./order";

/** The minimum market caps that the user can select, in dollars. */
export const CAPS = {
  "1M": "1000000",
  "10M": "10000000",
  "100M": "100000000",
  "1B": "1000000000",
  "10B": "10000000000",
};

/** The labels of the columns, by the field of the API. */
export const SORTS: Record<CoinOrderField, string> = {
  MARKET_CAP_USD: "Market cap",
  VOLUME_24H_USD: "Volume 24h",
  PRICE_USD: "Price",
  PERCENT_CHANGE_24H: "24h",
  TICKER: "Ticker",
  NAME: "Name",
  CREATED_AT: "Observed",
  INGESTED_AT: "Saved",
};

export interface View {
  filter: CoinFilter;
  order: CoinOrder;
}

export function viewOf(search: URLSearchParams): View {
  const text = search.get("q")?.trim();
  const source = search.get("source");
  const cap = CAPS[search.get("cap") as keyof typeof CAPS];
  const change = search.get("change");
  const filter: CoinFilter = {
    ...(text ? { search: text } : {}),
    ...(source ? { source: { eq: source } } : {}),
    ...(cap ? { marketCapUsd: { gte: cap } } : {}),
    ...(change === "up" ? { percentChange24h: { gte: 0 } } : {}),
    ...(change === "down" ? { percentChange24h: { lte: 0 } } : {}),
    ...(search.has("disputed") ? { isDisputed: true } : {}),
    ...(search.has("stale") ? { isStale: true } : {}),
    ...(search.has("suspect") ? { isSuspect: true } : {}),
  };
  return { filter, order: orderOf(search) };
}

function orderOf(search: URLSearchParams): CoinOrder {
  const field = search.get("sort");
  if (field === null || !(field in SORTS)) return DEFAULT_ORDER;
  const direction = search.get("dir");
  const known = field as CoinOrderField;
  return {
    field: known,
    direction: direction === "ASC" || direction === "DESC" ? direction : firstDirection(known),
  };
}

/** The search parameters after a click on a column's header. */
export function sortedBy(order: CoinOrder, field: CoinOrderField): Record<string, string | null> {
  const reversed = order.direction === "ASC" ? "DESC" : "ASC";
  return { sort: field, dir: order.field === field ? reversed : firstDirection(field) };
}
