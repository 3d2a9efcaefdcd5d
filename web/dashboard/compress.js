// Puts a compressed copy beside each file of the build that a browser may keep for ever; the server picks what is understood.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const target = new URL("../../server/static/dashboard/", import.meta.url);
const names = readdirSync(target).filter((name) => /-[\w-]{8}\.(js|css)$/.test(name));
for (const name of names) {
  writeFileSync(new URL(`${name}.gz`, target), gzipSync(readFileSync(new URL(name, target)), { level: 9 }));
}
console.log(`dashboard: ${names.length} files in server/static/dashboard`);
