// Copies the files and licences of GraphiQL and Swagger UI from the packages to the folder that the
// server serves.
import { copyFileSync, mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const target = join(here, "..", "..", "server", "static");
const pages = {
  explorer: {
    "graphiql.min.css": "graphiql/graphiql.min.css",
    "graphiql.min.js": "graphiql/graphiql.min.js",
    "graphiql.LICENSE.txt": "graphiql/LICENSE",
    "react.production.min.js": "react/umd/react.production.min.js",
    "react-dom.production.min.js": "react-dom/umd/react-dom.production.min.js",
    "react.LICENSE.txt": "react/LICENSE",
  },
  swagger: {
    "swagger-ui.css": "swagger-ui-dist/swagger-ui.css",
    "swagger-ui-bundle.js": "swagger-ui-dist/swagger-ui-bundle.js",
    "swagger-ui-bundle.LICENSE.txt": "swagger-ui-dist/swagger-ui-bundle.js.LICENSE.txt",
    "swagger-ui.LICENSE.txt": "swagger-ui-dist/LICENSE",
    "swagger-ui.NOTICE.txt": "swagger-ui-dist/NOTICE",
  },
};

for (const [page, files] of Object.entries(pages)) {
  mkdirSync(join(target, page), { recursive: true });
  for (const [name, source] of Object.entries(files)) {
    copyFileSync(join(here, "node_modules", source), join(target, page, name));
  }
  console.log(`${page}: ${Object.keys(files).length} files in server/static/${page}`);
}
