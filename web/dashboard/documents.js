// Lists the documents of the dashboard by their hashes, for a server that allows only trusted
// documents.
import { createHash } from "node:crypto";
import { readdirSync, writeFileSync } from "node:fs";
import { print } from "@0no-co/graphql.web";
import { runnerImport } from "vite";

const source = new URL("src/", import.meta.url);
const manifest = {};
for (const name of readdirSync(source, { recursive: true })
  .filter((name) => name.endsWith("documents.ts"))
  .sort()) {
  const { module } = await runnerImport(new URL(name, source).pathname, { configFile: false });
  for (const document of Object.values(module)) {
    // A document of fragments is only a part of other documents.
    if (!document?.definitions?.some(({ kind }) => kind === "OperationDefinition")) continue;
    const text = print(document);
    manifest[createHash("sha256").update(text).digest("hex")] = text;
  }
}
const target = new URL("../../server/static/dashboard/documents.json", import.meta.url);
writeFileSync(target, JSON.stringify(manifest, null, 2));
console.log(`dashboard: ${Object.keys(manifest).length} documents`);
