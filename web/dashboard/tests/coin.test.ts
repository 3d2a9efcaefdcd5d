import { describe, expect, test } from "vitest";
import { mergeCandles } from "../src/coin/candles";
import type { Candle, Listing } from "../src/coin/documents";
import { layOut, valueAt } from "../src/coin/json";
import { distance, priceStatsOf } from "../src/coin/price-stats";

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
    ({ id, priceUsd, observedAt, active }) as Listing;

  test("only prices within an hour of the newest count", () => {
    const stats = priceStatsOf([
      listing("new", "100", "2026-11-23T10:00:00Z"),
      listing("near", "104", "2026-11-23T09:00:00Z"),
      listing("old", "900", "2026-11-23T08:59:59Z"),
      listing("gone", "500", "2026-11-23T10:00:00Z", false),
      listing("none", null, "2026-11-23T10:00:00Z"),
    ]);
    expect([...stats.fresh]).toEqual(["new", "near"]);
    expect([stats.low, stats.median, stats.high]).toEqual([100, 102, 104]);
    expect(distance(104, 102)).toBeCloseTo(1.961, 3);
  });

  test("without a price there is no median", () => {
    expect(priceStatsOf([listing("none", null, "2026-11-23T10:00:00Z")]).median).toBeNull();
  });
});
