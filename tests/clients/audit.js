// Audits a server with graphql-http: `node audit.js URL` prints the results as one line of JSON.
import { serverAudits } from "graphql-http";

const found = [];
for (const { id, name, fn } of serverAudits({ url: process.argv[2] })) {
  const { status, reason } = await fn();
  found.push({ id, name, status, reason });
}
process.stdout.write(JSON.stringify(found) + "\n");
