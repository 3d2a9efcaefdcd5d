import { createElement } from "react";
import { renderToStaticMarkup } from "react-dom/server";
import { describe, expect, test } from "vitest";
import type { Run } from "../src/runs/documents";
import { RunList } from "../src/runs/list";
import { NoteBadge, NoteList, notesLabel } from "../src/runs/notes";

const text = (markup: string) => markup.replace(/<[^>]*>/g, "");

describe("notes", () => {
  test("a label has the singular and grouped digits", () => {
    expect([notesLabel(1), notesLabel(2), notesLabel(1_204)]).toEqual([
      "1 note",
      "2 notes",
      "1,204 notes",
    ]);
  });

  test("a badge has their number and links to the run", () => {
    const badge = renderToStaticMarkup(
      createElement(NoteBadge, { run: { id: "run_7", noteCount: 3 } }),
    );
    expect(badge).toContain('href="/dashboard/runs/run_7"');
    expect(text(badge)).toBe("3 notes of run 7");
  });

  test("a run without notes has no badge", () => {
    expect(
      renderToStaticMarkup(createElement(NoteBadge, { run: { id: "run_7", noteCount: 0 } })),
    ).toBe("");
  });

  test("a repeated note has its count, and its text is escaped", () => {
    const notes = [
      { about: "columns", text: "Columns that are not read: <b>", count: 1 },
      { about: "$.cap", text: "'much' is not a number", count: 1_041 },
    ];
    const items = renderToStaticMarkup(createElement(NoteList, { notes })).split("</li>");
    expect(items.length).toBe(3);
    expect(items[0]).toContain("Columns that are not read: &lt;b&gt;");
    expect(items[0]).not.toContain("times");
    expect(text(items[1] ?? "")).toContain("1,041 times");
  });
});

describe("a list of the runs with notes", () => {
  const run = (noteCount: number) =>
    ({ id: "run_1", source: "csv", status: "SUCCESS", noteCount }) as Run;

  test("adds a run as soon as it has notes", () => {
    const list = new RunList(null, null, true);
    list.take(run(0));
    expect(list.state.get().ids).toEqual([]);
    list.take(run(2));
    expect(list.state.get().ids).toEqual(["run_1"]);
  });

  test("a list of all runs adds it in any case", () => {
    const list = new RunList("csv", "SUCCESS");
    list.take(run(0));
    expect(list.state.get().ids).toEqual(["run_1"]);
  });
});
