import { describe, expect, test } from "vitest";
import { mergeCandles } from "../src/coin/candles";
import type { Candle, Listing } from "../src/coin/documents";
import { layOut, valueAt } from "../src/coin/json";
import { distance, standingOf } from "../src/coin/standing";

describe("a payload is shown as it was sent", () => {
  const sent =
    '{"a": 1.0, "b": 4.780002844000000000001e-18, "c": [1, {"d": "x{,}:\\"y"}], "e": {}, "f": [], "g": null}';

  test("no digit and no quoted sign is touched", () => {
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

  test("it is found within an answer, and a namesake deeper down is not taken for it", () => {
    const answer = `{"data":{"other":{"payload":0},"listing":{"x":{"payload":1},"payload":${sent}}}}`;
    expect(valueAt(answer, ["data", "listing", "payload"])).toBe(sent);
    expect(valueAt('{"data":{"listing":{"payload":12.50}}}', ["data", "listing", "payload"])).toBe(
      "12.50",
    );
    expect(valueAt('{"data":{"listing":null}}', ["data", "listing", "payload"])).toBeUndefined();
  });
});

describe("stretches of candles", () => {
  const candle = (start: string, close: string): Candle => ({
    start,
    open: "1",
    high: "1",
    low: "1",
    close,
    samples: 1,
  });

  test("where they overlap the newer tells", () => {
    const all = mergeCandles(
      [candle("a", "1"), candle("b", "1")],
      [candle("b", "2"), candle("c", "1")],
    );
    expect(all.map(({ start, close }) => start + close)).toEqual(["a1", "b2", "c1"]);
  });

  test("nothing new changes nothing", () => {
    const known = [candle("a", "1")];
    expect(mergeCandles(known, [])).toBe(known);
  });
});

describe("how sources stand to each other", () => {
  const listing = (id: string, priceUsd: string | null, observedAt: string, active = true) =>
    ({ id, priceUsd, observedAt, active }) as Listing;

  test("only what was observed within an hour of the newest counts", () => {
    const standing = standingOf([
      listing("new", "100", "2026-11-23T10:00:00Z"),
      listing("near", "104", "2026-11-23T09:00:00Z"),
      listing("old", "900", "2026-11-23T08:59:59Z"),
      listing("gone", "500", "2026-11-23T10:00:00Z", false),
      listing("none", null, "2026-11-23T10:00:00Z"),
    ]);
    expect([...standing.fresh]).toEqual(["new", "near"]);
    expect([standing.low, standing.median, standing.high]).toEqual([100, 102, 104]);
    expect(distance(104, 102)).toBeCloseTo(1.961, 3);
  });

  test("without a price there is no median", () => {
    expect(standingOf([listing("none", null, "2026-11-23T10:00:00Z")]).median).toBeNull();
  });
});
