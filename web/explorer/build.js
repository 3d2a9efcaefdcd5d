// Copies what the explorer's page loads, and its licences, out of the packages to where the server looks for it.
import { copyFileSync, mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const target = join(here, "..", "..", "server", "static", "explorer");
const files = {
  "graphiql.min.css": "graphiql/graphiql.min.css",
  "graphiql.min.js": "graphiql/graphiql.min.js",
  "graphiql.LICENSE.txt": "graphiql/LICENSE",
  "react.production.min.js": "react/umd/react.production.min.js",
  "react-dom.production.min.js": "react-dom/umd/react-dom.production.min.js",
  "react.LICENSE.txt": "react/LICENSE",
};

mkdirSync(target, { recursive: true });
for (const [name, source] of Object.entries(files)) {
  copyFileSync(join(here, "node_modules", source), join(target, name));
}
console.log(`explorer: ${Object.keys(files).length} files in server/static/explorer`);
