import { describe, expect, test } from "vitest";
import {
  compact,
  exact,
  isRounded,
  percent,
  priceText,
  priceParts,
  spread,
} from "../src/format/number";

describe("prices of any size are readable", () => {
  test.each([
    ["85271", "85,271.00"],
    ["1234567.891", "1,234,567.89"],
    ["691.54", "691.54"],
    ["36.03", "36.030"],
    ["1.7855", "1.7855"],
    ["0.999442", "0.9994"],
    ["0.99999", "1.0000"],
    ["0.00012345678", "0.0001235"],
    ["0.0000000000000000047800284265229", "0.0₁₇478"],
    ["0.000000123456", "0.0₆1235"],
    ["0", "0.00"],
    ["-0.5", "-0.5000"],
  ])("%s as %s", (decimal, shown) => {
    expect(priceText(decimal)).toBe(shown);
  });

  test("the count of zeros starts at the decimal point", () => {
    expect(priceParts("0.000001")).toEqual({ lead: "0.0", zeros: 5, digits: "1" });
  });

  test("an axis can have more digits, so that its ticks differ", () => {
    expect(priceText("0.99944", 7)).toBe("0.999440");
    expect(priceText("0.0000000000000000047812", 7)).toBe("0.0₁₇47812");
  });
});

test("a price that is shown with all digits is not rounded", () => {
  expect(["85271", "691.54", "1.7855"].map(isRounded)).toEqual([false, false, false]);
  expect(["85271.004", "0.999442", "0.0000001"].map(isRounded)).toEqual([true, true, true]);
});

test("an exact decimal keeps every digit", () => {
  expect(exact("12345678901234567890.000000000000000001")).toBe(
    "12,345,678,901,234,567,890.000000000000000001",
  );
  expect(exact("1000")).toBe("1,000");
  expect(exact("0.1234567")).toBe("0.1234567");
});

test("large amounts are short, and the largest are scientific", () => {
  expect(compact("1704471657871")).toBe("1.70T");
  expect(compact("812")).toBe("812.00");
  expect(compact("1136271354166670000000000")).toBe("1.14E24");
});

test("a change that rounds to zero has no sign", () => {
  expect(percent(-0.004)).toBe("0.00%");
  expect(percent(-0.79478)).toBe("−0.79%");
  expect(percent(12.3)).toBe("+12.30%");
  expect(percent(224283.2153)).toBe("+224,283.22%");
  expect(percent(0.0004, 3)).toBe("0.000%");
});

test("a small spread is not zero", () => {
  expect(spread(0)).toBe("0.00%");
  expect(spread(0.0005)).toBe("<0.01%");
  expect(spread(3.456)).toBe("3.46%");
  expect(spread(1234.5)).toBe("1,230%");
});
