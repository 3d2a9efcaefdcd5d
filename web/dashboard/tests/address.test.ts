import { describe, expect, test } from "vitest";
import { addressParts } from "../src/format/address";

describe("the parts of an address", () => {
  test("they join to the whole, and the short form leaves the middle out", () => {
    const address = "0x2260fac5e5542a773aa44fbcfedf7c193bc2c599";
    const parts = addressParts(address);
    expect(parts.join("")).toBe(address);
    expect([parts[0], parts[2]]).toEqual(["0x2260fa", "c2c599"]);
  });

  test("an address that a short form would not shorten is whole", () => {
    expect(addressParts("0x2::sui::SUI")).toEqual(["0x2::sui::SUI", "", ""]);
    expect(addressParts("123456789012345")).toEqual(["123456789012345", "", ""]);
    expect(addressParts("1234567890123456")[1]).toBe("90");
  });
});
