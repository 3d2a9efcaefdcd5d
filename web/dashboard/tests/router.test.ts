import { expect, test } from "vitest";
import { type Page, pageOf, paths } from "../src/navigation/router";

test.each<[string, Page]>([
  ["/", { name: "coins" }],
  ["/dashboard", { name: "coins" }],
  ["/dashboard/", { name: "coins" }],
  ["/dashboard/coins/btc", { name: "coin", ticker: "BTC" }],
  ["/dashboard/runs", { name: "runs" }],
  ["/dashboard/runs/run_42", { name: "run", id: "run_42" }],
  ["/dashboard/sources", { name: "sources" }],
  ["/dashboard/nothing", { name: "missing" }],
  ["/dashboard/coins/BTC/more", { name: "missing" }],
  ["/dashboard/coins/%E0", { name: "missing" }],
])("%s", (path, page) => {
  expect(pageOf(path)).toEqual(page);
});

test.each<[string, Page]>([
  ["/kasparro", { name: "coins" }],
  ["/kasparro/", { name: "coins" }],
  ["/kasparro/dashboard/coins/btc", { name: "coin", ticker: "BTC" }],
  ["/dashboard/runs", { name: "missing" }],
  ["/kasparro-too/dashboard/runs", { name: "missing" }],
])("%s below a path prefix", (path, page) => {
  expect(pageOf(path, "/kasparro")).toEqual(page);
});

test("a ticker of any characters is the same after its path is parsed", () => {
  for (const ticker of ["A/B", "$MYRO", "50%?", "Ω#1"]) {
    expect(pageOf(paths.coin(ticker))).toEqual({ name: "coin", ticker });
  }
});
