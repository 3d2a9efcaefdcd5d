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
    ...change,
  };
}

const LATER = { ingestedAt: "2026-11-23T10:00:10.000000Z", priceUsdExact: "2" };

describe("the store of coins", () => {
  test("an update is shown with the next frame, once, and only rows of coins that changed are told", () => {
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

  test("an answer that is older than an update does not undo it", () => {
    const store = new CoinStore((flush) => flush());
    store.put([coin("BTC", LATER)]);
    store.put([coin("BTC")]);
    expect(store.get("BTC")?.priceUsdExact).toBe("2");
  });

  test("coins that the page never asked for are not kept", () => {
    const store = new CoinStore((flush) => flush());
    store.update([coin("BTC", LATER)]);
    expect(store.tickers()).toEqual([]);
  });

  test("who has left is not told", () => {
    const store = new CoinStore((flush) => flush());
    store.put([coin("BTC")]);
    const listener = vi.fn();
    store.subscribe("BTC", listener)();
    store.update([coin("BTC", LATER)]);
    expect(listener).not.toHaveBeenCalled();
  });
});

describe("whether rows are still in order", () => {
  const caps = (...values: (string | null)[]) =>
    values.map((marketCapUsd, index) => coin(String(index), { marketCapUsd }));
  const order = { field: "MARKET_CAP_USD", direction: "DESC" } as const;

  test("numbers are compared as numbers", () => {
    expect(isOutOfOrder(caps("100", "9"), order)).toBe(false);
    expect(isOutOfOrder(caps("9", "100"), order)).toBe(true);
    expect(isOutOfOrder(caps("9", "100"), { ...order, direction: "ASC" })).toBe(false);
  });

  test("unknown values stand last in either direction", () => {
    expect(isOutOfOrder(caps("9", null, null), order)).toBe(false);
    expect(isOutOfOrder(caps("9", null), { ...order, direction: "ASC" })).toBe(false);
    expect(isOutOfOrder(caps(null, "9"), order)).toBe(true);
  });
});

describe("the view that an address names", () => {
  test("words become a filter and an order", () => {
    const { filter, order } = viewOf(
      new URLSearchParams(
        "q= bit &source=csv&cap=1B&change=down&disputed=1&sort=PRICE_USD&dir=ASC",
      ),
    );
    expect(filter).toEqual({
      search: "bit",
      source: { eq: "csv" },
      marketCapUsd: { gte: "1000000000" },
      percentChange24h: { lte: 0 },
      isDisputed: true,
    });
    expect(order).toEqual({ field: "PRICE_USD", direction: "ASC" });
  });

  test("what makes no sense is passed over", () => {
    expect(viewOf(new URLSearchParams("cap=lots&sort=COLOUR&dir=UP"))).toEqual({
      filter: {},
      order: { field: "MARKET_CAP_USD", direction: "DESC" },
    });
  });

  test("a second click turns a column, a first one begins where it makes sense", () => {
    const order = { field: "PRICE_USD", direction: "DESC" } as const;
    expect(sortedBy(order, "PRICE_USD")).toEqual({ sort: "PRICE_USD", dir: "ASC" });
    expect(sortedBy(order, "NAME")).toEqual({ sort: "NAME", dir: "ASC" });
    expect(sortedBy(order, "VOLUME_24H_USD")).toEqual({ sort: "VOLUME_24H_USD", dir: "DESC" });
  });
});

test("a curve fills its width by time and its height by price", () => {
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
