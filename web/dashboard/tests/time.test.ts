import { expect, test } from "vitest";
import { ago, duration, exactTime, period, span } from "../src/format/time";

test("a span has one unit", () => {
  expect([0, 59_999, 60_000, 3_599_999, 3_600_000, 172_799_999, 172_800_000].map(span)).toEqual([
    "0 s",
    "59 s",
    "1 min",
    "59 min",
    "1 h",
    "47 h",
    "2 d",
  ]);
});

test('a future time has "in", and a small clock difference is "now"', () => {
  expect(ago(10_000, 22_000)).toBe("12 s ago");
  expect(ago(22_000, 10_000)).toBe("in 12 s");
  expect(ago(10_500, 10_000)).toBe("now");
});

test("durations and periods", () => {
  expect([14, 894, 1_270, 12_340, 192_000, 3_720_000].map(duration)).toEqual([
    "14 ms",
    "894 ms",
    "1.27 s",
    "12.3 s",
    "3 min 12 s",
    "1 h 2 min",
  ]);
  expect([10, 300, 5_400, 3_661].map(period)).toEqual([
    "10 s",
    "5 min",
    "1 h 30 min",
    "1 h 1 min 1 s",
  ]);
});

test("an exact time names its zone", () => {
  expect(exactTime("2026-11-23T10:31:05.250000Z")).toBe("2026-11-23 10:31:05 UTC");
});
