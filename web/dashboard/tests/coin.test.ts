import { describe, expect, test } from "vitest";
import { mergeCandles } from "../src/coin/candles";
import type { Asset, Candle, Detail, Excluded, Listing } from "../src/coin/documents";
import { listingsOf, tickersOf } from "../src/coin/identity";
import { layOut, valueAt } from "../src/coin/json";
import { labelOf, reasonOf } from "../src/coin/reasons";
import { distance, heldPrices, priceStatsOf } from "../src/coin/price-stats";

describe("the text of a payload", () => {
  const sent =
    '{"a": 1.0, "b": 4.780002844000000000001e-18, "c": [1, {"d": "x{,}:\\"y"}], ' +
    '"e": {}, "f": [], "g": null}';

  test("formatting keeps all digits and quoted characters", () => {
    expect(layOut(sent)).toBe(
      [
        "{",
        '  "a": 1.0,',
        '  "b": 4.780002844000000000001e-18,',
        '  "c": [',
        "    1,",
        "    {",
        '      "d": "x{,}:\\"y"',
        "    }",
        "  ],",
        '  "e": {},',
        '  "f": [],',
        '  "g": null',
        "}",
      ].join("\n"),
    );
  });

  test("a value is found by its path, not by the same name on another level", () => {
    const listing = `{"x":{"payload":1},"payload":${sent}}`;
    const answer = `{"data":{"other":{"payload":0},"listing":${listing}}}`;
    expect(valueAt(answer, ["data", "listing", "payload"])).toBe(sent);
    expect(valueAt('{"data":{"listing":{"payload":12.50}}}', ["data", "listing", "payload"])).toBe(
      "12.50",
    );
    expect(valueAt('{"data":{"listing":null}}', ["data", "listing", "payload"])).toBeUndefined();
  });
});

describe("merging candles", () => {
  const candle = (start: string, close: string): Candle => ({
    start,
    open: "1",
    high: "1",
    low: "1",
    close,
    samples: 1,
  });

  test("newer candles replace older ones", () => {
    const all = mergeCandles(
      [candle("a", "1"), candle("b", "1")],
      [candle("b", "2"), candle("c", "1")],
    );
    expect(all.map(({ start, close }) => start + close)).toEqual(["a1", "b2", "c1"]);
  });

  test("no new candles change nothing", () => {
    const known = [candle("a", "1")];
    expect(mergeCandles(known, [])).toBe(known);
  });
});

describe("the comparison of sources", () => {
  const listing = (id: string, priceUsd: string | null, observedAt: string, active = true) =>
    ({ id, source: id, externalId: "x", priceUsd, observedAt, active }) as Listing;

  test("only prices within an hour of the newest count", () => {
    const stats = priceStatsOf(
      [
        listing("new", "100", "2026-11-23T10:00:00Z"),
        listing("near", "104", "2026-11-23T09:00:00Z"),
        listing("old", "900", "2026-11-23T08:59:59Z"),
        listing("gone", "500", "2026-11-23T10:00:00Z", false),
        listing("none", null, "2026-11-23T10:00:00Z"),
      ],
      heldPrices([]),
    );
    expect([...stats.fresh]).toEqual(["new", "near"]);
    expect([stats.low, stats.median, stats.high]).toEqual([100, 102, 104]);
    expect(distance(104, 102)).toBeCloseTo(1.961, 3);
  });

  test("a held price does not count, one that disagrees does", () => {
    const excluded = (source: string, change: Partial<Excluded>): Excluded => ({
      source,
      externalId: "x",
      field: "priceUsd",
      value: "900",
      reason: "JUMP",
      observedAt: "2026-11-23T10:00:00Z",
      ...change,
    });
    const stats = priceStatsOf(
      ["jumps", "disagrees", "cap", "plain"].map((id, place) =>
        listing(id, String(100 + place), "2026-11-23T10:00:00Z"),
      ),
      heldPrices([
        excluded("jumps", {}),
        excluded("disagrees", { reason: "DISAGREES" }),
        excluded("cap", { field: "marketCapUsd" }),
        excluded("plain", { externalId: "another listing" }),
      ]),
    );
    expect([...stats.held]).toEqual(["jumps"]);
    expect([...stats.fresh]).toEqual(["disagrees", "cap", "plain"]);
  });

  test("without a price there is no median", () => {
    expect(
      priceStatsOf([listing("none", null, "2026-11-23T10:00:00Z")], heldPrices([])).median,
    ).toBeNull();
  });
});

describe("the asset of a coin", () => {
  const asset = (ticker: string, owned: string[], listings: Listing[] = []) =>
    ({ ticker, coins: owned.map((one) => ({ ticker: one })), listings }) as unknown as Asset;
  const listing = (source: string, ticker: string) => ({ source, ticker }) as Listing;

  test("its current ticker comes first; its only ticker is not repeated", () => {
    expect(tickersOf(asset("POL", ["MATIC", "POL"]), "MATIC")).toEqual([
      { ticker: "POL", isCurrent: true, isOwned: true },
      { ticker: "MATIC", isCurrent: false, isOwned: true },
    ]);
    expect(tickersOf(asset("POL", ["POL"]), "POL")).toEqual([]);
  });

  test("another asset may own its current ticker", () => {
    expect(tickersOf(asset("POL", ["MATIC"]), "MATIC")[0]).toEqual({
      ticker: "POL",
      isCurrent: true,
      isOwned: false,
    });
  });

  test("its listings under the coin's ticker come before those under others", () => {
    const own = [listing("csv", "MATIC")];
    const all = [listing("coinpaprika", "POL"), ...own, listing("coingecko", "MATIC")];
    const detail = { ticker: "MATIC", asset: asset("POL", [], all), listings: own } as Detail;
    expect(listingsOf(detail).map(({ source }) => source)).toEqual([
      "csv",
      "coingecko",
      "coinpaprika",
    ]);
    expect(listingsOf({ ...detail, asset: null })).toBe(own);
  });
});

describe("why a value is left out", () => {
  const REASONS = ["JUMP", "DISAGREES", "IMPOSSIBLE"] as const;

  test("each reason has one plain sentence", () => {
    for (const reason of REASONS) {
      expect(reasonOf({ reason, field: "priceUsd" })).toMatch(/^[A-Z][^.]+\.$/);
    }
  });

  test("a price disagrees by per cent, a market cap by its size", () => {
    expect(reasonOf({ reason: "DISAGREES", field: "priceUsd" })).toContain("1%");
    expect(reasonOf({ reason: "DISAGREES", field: "marketCapUsd" })).toContain("10 times");
  });

  test("an unknown field keeps its name", () => {
    expect(["priceUsd", "marketCapUsd", "supply"].map(labelOf)).toEqual([
      "Price",
      "Market cap",
      "supply",
    ]);
  });
});
