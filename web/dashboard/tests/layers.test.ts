// The folders of src are layers: a file imports only from its folder and from lower layers.
import { expect, test } from "vitest";

const FILES = import.meta.glob<string>("../src/**/*.{ts,tsx}", {
  eager: true,
  import: "default",
  query: "?raw",
});
// From the lowest to the highest. `main.tsx`, which is in no folder, is above all of them.
const LAYERS = [
  "schema.generated",
  "format",
  "api",
  "navigation",
  "ui",
  "overview",
  "runs",
  "sources",
  "coins",
  "coin",
  "app",
  "styles",
];

/** Each import of a file in src, as a pair of paths without extensions. */
function importsOf(text: string, name: string): [importer: string, imported: string][] {
  return [...text.matchAll(/(?:from|import)\s*\(?\s*"(\.[^"]*)"/g)].map(([, path = ""]) => [
    name,
    new URL(path, `file:///${name}`).pathname.slice(1),
  ]);
}

const IMPORTS = Object.entries(FILES)
  .map(([path, text]) => [path.slice("../src/".length).replace(/\.\w+$/, ""), text] as const)
  .filter(([name]) => !name.startsWith("schema.generated"))
  .flatMap(([name, text]) => importsOf(text, name));

function folderOf(path: string): string {
  return path.split("/")[0] ?? "";
}

function isUpward([importer, imported]: [string, string]): boolean {
  if (importer === "main" || folderOf(importer) === folderOf(imported)) return false;
  const [from, to] = [importer, imported].map((path) => LAYERS.indexOf(folderOf(path)));
  return from === undefined || to === undefined || from < 0 || to < 0 || to > from;
}

/** The files of an import cycle in their order; empty if there is none. */
function circle(): string[] {
  const done = new Set<string>();
  const visit = (file: string, path: string[]): string[] => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
    if (done.has(file)) return [];
    for (const [, imported] of IMPORTS.filter(([importer]) => importer === file)) {
      const found = visit(imported, [...path, file]);
      if (found.length > 0) return found;
    }
    done.add(file);
    return [];
  };
  for (const [file] of IMPORTS) {
    const found = visit(file, []);
    if (found.length > 0) return found;
  }
  return [];
}

test("the imports are found", () => {
  expect(IMPORTS.length).toBeGreaterThan(150);
  expect(importsOf('const P = part(() => import("../runs/page"))', "app/pages")).toEqual([
    ["app/pages", "runs/page"],
  ]);
});

test("an import from a higher layer is found", () => {
  expect(isUpward(["ui/choice", "app/app"])).toBe(true);
  expect(isUpward(["app/app", "ui/choice"])).toBe(false);
});

test("no file imports from a higher layer", () => {
  expect(IMPORTS.filter(isUpward).map((pair) => pair.join(" imports "))).toEqual([]);
});

test("there are no import cycles", () => {
  expect(circle()).toEqual([]);
});
