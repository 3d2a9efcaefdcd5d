import { describe, expect, test, vi } from "vitest";
import type { Coin } from "../src/coins/documents";
import { isOutOfOrder } from "../src/coins/order";
import { sparkPath } from "../src/coins/sparks";
import { CoinStore } from "../src/coins/store";
import { sortedBy, viewOf } from "../src/coins/view";

function coin(ticker: string, change: Partial<Coin> = {}): Coin {
  return {
    ticker,
    name: ticker,
    rank: 1,
    priceUsdExact: "1",
    percentChange24h: 0,
    marketCapUsd: "1",
    volume24hUsd: "1",
    priceSpreadPercent: null,
    source: "coinpaprika",
    createdAt: "2026-11-23T10:00:00.000000Z",
    ingestedAt: "2026-11-23T10:00:00.000000Z",
    isStale: false,
    isSuspect: false,
    ...change,
  };
}

const LATER = { ingestedAt: "2026-11-23T10:00:10.000000Z", priceUsdExact: "2" };

describe("the store of coins", () => {
  test("an update is shown once, with the next frame, and notifies only rows that changed", () => {
    const frames: (() => void)[] = [];
    const store = new CoinStore((flush) => frames.push(flush));
    store.put([coin("BTC"), coin("ETH")]);
    const [btc, eth, any] = [vi.fn(), vi.fn(), vi.fn()];
    store.subscribe("BTC", btc);
    store.subscribe("ETH", eth);
    store.subscribeAny(any);
    store.update([coin("BTC", LATER)]);
    store.update([coin("BTC", { ...LATER, priceUsdExact: "3" })]);
    expect(btc).not.toHaveBeenCalled();
    expect(frames).toHaveLength(1);
    frames[0]?.();
    expect(store.get("BTC")?.priceUsdExact).toBe("3");
    expect([btc, eth, any].map((told) => told.mock.calls.length)).toEqual([1, 0, 1]);
  });

  test("an older response does not replace a newer update", () => {
    const store = new CoinStore((flush) => flush());
    store.put([coin("BTC", LATER)]);
    store.put([coin("BTC")]);
    expect(store.get("BTC")?.priceUsdExact).toBe("2");
  });

  test("updates of coins that were not requested are ignored", () => {
    const store = new CoinStore((flush) => flush());
    store.update([coin("BTC", LATER)]);
    expect(store.tickers()).toEqual([]);
  });

  test("a removed listener is not notified", () => {
    const store = new CoinStore((flush) => flush());
    store.put([coin("BTC")]);
    const listener = vi.fn();
    store.subscribe("BTC", listener)();
    store.update([coin("BTC", LATER)]);
    expect(listener).not.toHaveBeenCalled();
  });
});

describe("the order of rows", () => {
  const caps = (...values: (string | null)[]) =>
    values.map((marketCapUsd, index) => coin(String(index), { marketCapUsd }));
  const order = { field: "MARKET_CAP_USD", direction: "DESC" } as const;

  test("numbers are compared as numbers", () => {
    expect(isOutOfOrder(caps("100", "9"), order)).toBe(false);
    expect(isOutOfOrder(caps("9", "100"), order)).toBe(true);
    expect(isOutOfOrder(caps("9", "100"), { ...order, direction: "ASC" })).toBe(false);
  });

  test("unknown values come last in either direction", () => {
    expect(isOutOfOrder(caps("9", null, null), order)).toBe(false);
    expect(isOutOfOrder(caps("9", null), { ...order, direction: "ASC" })).toBe(false);
    expect(isOutOfOrder(caps(null, "9"), order)).toBe(true);
  });
});

describe("the view of an address", () => {
  test("search parameters become a filter and an order", () => {
    const { filter, order } = viewOf(
      new URLSearchParams(
        "q= bit &source=csv&cap=1B&change=down&disputed=1&suspect=1&sort=PRICE_USD&dir=ASC",
      ),
    );
    expect(filter).toEqual({
      search: "bit",
      source: { eq: "csv" },
      marketCapUsd: { gte: "1000000000" },
      percentChange24h: { lte: 0 },
      isDisputed: true,
      isSuspect: true,
    });
    expect(order).toEqual({ field: "PRICE_USD", direction: "ASC" });
  });

  test("invalid parameters are ignored", () => {
    expect(viewOf(new URLSearchParams("cap=lots&sort=COLOUR&dir=UP"))).toEqual({
      filter: {},
      order: { field: "MARKET_CAP_USD", direction: "DESC" },
    });
  });

  test("a first click sorts in the default direction, a second one reverses it", () => {
    const order = { field: "PRICE_USD", direction: "DESC" } as const;
    expect(sortedBy(order, "PRICE_USD")).toEqual({ sort: "PRICE_USD", dir: "ASC" });
    expect(sortedBy(order, "NAME")).toEqual({ sort: "NAME", dir: "ASC" });
    expect(sortedBy(order, "VOLUME_24H_USD")).toEqual({ sort: "VOLUME_24H_USD", dir: "DESC" });
  });
});

test("a sparkline fills its width by time and its height by price", () => {
  const points = [
    [0, 1],
    [50, 3],
    [100, 2],
  ] as const;
  expect(sparkPath({ span: 100, points }, 10, 20)).toBe("M0.0 20.0L5.0 0.0L10.0 10.0");
  expect(
    sparkPath(
      {
        span: 100,
        points: [
          [0, 5],
          [10, 5],
        ],
      },
      10,
      20,
    ),
  ).toBe("M0.0 10.0L10.0 10.0");
  expect(sparkPath({ span: 100, points: [[0, 5]] }, 10, 20)).toBeNull();
});
