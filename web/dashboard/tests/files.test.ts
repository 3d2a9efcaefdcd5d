import { describe, expect, test } from "vitest";
import { counts, type File, notesOf, unusedColumns } from "../src/sources/files";

function file(change: Partial<File> = {}): File {
  return {
    name: "prices.csv",
    readAt: "2026-11-23T10:00:00.000000Z",
    form: "CSV, UTF-8, delimiter: semicolon, header on line 1",
    rows: 1200,
    rejected: 0,
    columns: [],
    unreadHeaders: [],
    unreadCount: 0,
    notes: [],
    firstListings: [],
    ...change,
  };
}

describe("the texts of a file", () => {
  test("rows are counted, and rejected rows if there are some", () => {
    expect(counts(file())).toBe("1,200 rows");
    expect(counts(file({ rows: 1, rejected: 1 }))).toBe("1 row, 1 rejected");
  });

  test("columns that are not read are named, and counted if there are too many", () => {
    expect(unusedColumns(file())).toBeNull();
    expect(unusedColumns(file({ unreadHeaders: ["7d", "ath"], unreadCount: 2 }))).toBe("7d, ath");
    expect(unusedColumns(file({ unreadHeaders: ["7d", "ath"], unreadCount: 60 }))).toBe(
      "7d, ath and 58 more",
    );
  });

  test("a note has its count, and none repeats the columns that are not read", () => {
    const notes = [
      { text: "Columns that are not read: 7d", count: 1 },
      { text: "'lots' is not a number - at `$.cap`", count: 3 },
      { text: "Rows are dated by the file", count: 1 },
    ];
    expect(notesOf(file({ notes }))).toEqual([
      { text: "'lots' is not a number - at `$.cap`", times: "3 times" },
      { text: "Rows are dated by the file", times: "" },
    ]);
  });
});
