import { describe, expect, test, vi } from "vitest";
import type { Run } from "../src/runs/documents";
import { RunStore } from "../src/runs/store";
import { healthProblem } from "../src/overview/health";
import type { Source } from "../src/overview/documents";

function run(id: string, change: Partial<Run> = {}): Run {
  return {
    id,
    source: "csv",
    status: "RUNNING",
    startedAt: "2026-11-23T10:00:00.000000Z",
    finishedAt: null,
    durationMs: null,
    processed: 0,
    failed: 0,
    changed: 0,
    unchanged: 0,
    pages: 0,
    message: null,
    noteCount: 0,
    ...change,
  };
}

const ENDED = {
  status: "SUCCESS",
  finishedAt: "2026-11-23T10:00:05.000000Z",
  pages: 2,
  processed: 100,
} as const;

describe("the store of runs", () => {
  test("an older response does not replace a newer state", () => {
    const store = new RunStore();
    const listener = vi.fn();
    store.put([run("run_1", ENDED)]);
    store.subscribe(listener);
    store.put([run("run_1", { pages: 1, processed: 50 })]);
    expect(store.get("run_1")?.status).toBe("SUCCESS");
    expect(listener).not.toHaveBeenCalled();
  });

  test("a run advances page by page to its end", () => {
    const store = new RunStore();
    store.put([run("run_1")]);
    store.put([run("run_1", { pages: 1, processed: 50 })]);
    expect(store.get("run_1")?.processed).toBe(50);
    store.put([run("run_1", ENDED)]);
    expect(store.get("run_1")?.status).toBe("SUCCESS");
  });

  test("the newest run of a source does not depend on the order of arrival", () => {
    const store = new RunStore();
    store.put([
      run("run_2", { startedAt: "2026-11-23T10:01:00.000000Z" }),
      run("run_1"),
      run("run_3", { source: "coingecko" }),
    ]);
    expect(store.newestOf("csv")?.id).toBe("run_2");
    store.put([run("run_2", { ...ENDED, startedAt: "2026-11-23T10:01:00.000000Z" })]);
    expect(store.newestOf("csv")?.status).toBe("SUCCESS");
  });
});

describe("why a source is not healthy", () => {
  const source = (change: Partial<Source>) =>
    ({ health: "DEGRADED", consecutiveFailures: 0, lastRun: null, ...change }) as Source;

  test("failures have their reason", () => {
    const lastRun = { status: "FAILURE", message: "The source answered 503." } as Source["lastRun"];
    expect(healthProblem(source({ health: "DOWN", consecutiveFailures: 3, lastRun }))).toBe(
      "3 consecutive failures (The source answered 503)",
    );
    expect(healthProblem(source({ consecutiveFailures: 1 }))).toBe("1 failure");
  });

  test("rejected records, an overdue poll, and no problem", () => {
    expect(
      healthProblem(source({ lastRun: { status: "PARTIAL", failed: 5 } as Source["lastRun"] })),
    ).toBe("5 records of the last run could not be read");
    expect(healthProblem(source({}))).toBe("no run has finished within three polls");
    expect(healthProblem(source({ health: "OK" }))).toBeNull();
  });
});
