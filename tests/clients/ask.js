// Asks one query with a real client: `node ask.js urql|apollo URL TIMES '{"query": …}'`.
// Prints one line of JSON with the results and the requests.
import { createHash } from "node:crypto";

const [kind, url, times, text] = process.argv.slice(2);
const { query, variables = {} } = JSON.parse(text);
const requests = [];

async function watched(address, options) {
  const response = await fetch(address, options);
  const sent = options.body ?? new URL(address).search;
  requests.push({
    method: options.method ?? "GET",
    accept: new Headers(options.headers).get("accept"),
    hasQuery:
      options.body === undefined
        ? new URL(address).searchParams.has("query")
        : "query" in JSON.parse(sent),
    status: response.status,
    type: response.headers.get("content-type"),
  });
  return response;
}

const CLIENTS = {
  urql: async () => {
    const { Client, fetchExchange } = await import("@urql/core");
    const asker = (preferGetMethod) => {
      const client = new Client({
        url,
        exchanges: [fetchExchange],
        preferGetMethod,
        fetch: watched,
      });
      return async () => {
        const { data, error } = await client.query(query, variables).toPromise();
        return error ? { error: String(error) } : { data };
      };
    };
    // With POST, then with GET.
    const ask = [asker(false), asker("force")];
    return (number) => ask[number % 2]();
  },
  apollo: async () => {
    const { ApolloClient, HttpLink, InMemoryCache, gql } = await import("@apollo/client");
    const { PersistedQueryLink } = await import("@apollo/client/link/persisted-queries");
    const sha256 = (document) => createHash("sha256").update(document).digest("hex");
    const asker = (useGETForHashedQueries) => {
      const link = new PersistedQueryLink({ sha256, useGETForHashedQueries }).concat(
        new HttpLink({ uri: url, fetch: watched }),
      );
      const client = new ApolloClient({ link, cache: new InMemoryCache() });
      return async () => {
        const { data, error } = await client.query({
          query: gql(query),
          variables,
          fetchPolicy: "no-cache",
        });
        return error ? { error: String(error) } : { data };
      };
    };
    const ask = [asker(false), asker(true)];
    return (number) => ask[number % 2]();
  },
};

const ask = await CLIENTS[kind]();
const results = [];
for (let number = 0; number < Number(times); number += 1) results.push(await ask(number));
process.stdout.write(JSON.stringify({ results, requests }) + "\n");
