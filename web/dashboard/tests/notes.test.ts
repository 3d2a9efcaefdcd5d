import { createElement } from "react";
import { renderToStaticMarkup } from "react-dom/server";
import { describe, expect, test } from "vitest";
import type { Run } from "../src/runs/documents";
import { RunList } from "../src/runs/list";
import { NoteBadge, NoteList, notesLabel } from "../src/runs/notes";

const text = (markup: string) => markup.replace(/<[^>]*>/g, "");

describe("how notes are shown", () => {
  test("one note is one, many are grouped", () => {
    expect([notesLabel(1), notesLabel(2), notesLabel(1_204)]).toEqual([
      "1 note",
      "2 notes",
      "1,204 notes",
    ]);
  });

  test("beside a status stands their number, which leads to the run", () => {
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

  test("a note says how often it was notesOf where that is more than once; its text is no markup", () => {
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

  test("takes a run in once it has notes", () => {
    const list = new RunList(null, null, true);
    list.take(run(0));
    expect(list.state.get().ids).toEqual([]);
    list.take(run(2));
    expect(list.state.get().ids).toEqual(["run_1"]);
  });

  test("a list of all runs takes it either way", () => {
    const list = new RunList("csv", "SUCCESS");
    list.take(run(0));
    expect(list.state.get().ids).toEqual(["run_1"]);
  });
});
