// Follows one operation with a real client:
// `node follow.js ws|sse|urql|apollo URL '{"query": …}'`.
// Prints a line of JSON for each event of the client. After a lost connection, the clients of the
// live protocols resume with `after`, the cursor of the last update, as README.md advises.
const [kind, url, text] = process.argv.slice(2);
const payload = JSON.parse(text);
const patience = { retryAttempts: 1000 };
const retryWait = () => new Promise((resolve) => setTimeout(resolve, 50));

function tell(what) {
  process.stdout.write(JSON.stringify(what) + "\n");
}

function cursorOf(result) {
  return Object.values(result.data ?? {})[0]?.cursor;
}

const CLIENTS = {
  ws: async () => {
    const { createClient } = await import("graphql-ws");
    const { default: WebSocket } = await import("ws");
    return createClient({
      url: url.replace("http", "ws"),
      webSocketImpl: WebSocket,
      ...patience,
      retryWait,
      shouldRetry: () => true,
      keepAlive: 200,
      on: {
        connected: () => tell({ connected: true }),
        closed: (event) => tell({ closed: event.code }),
        pong: (received) => received && tell({ pong: true }),
      },
    });
  },
  sse: async () => {
    const { createClient } = await import("graphql-sse");
    return createClient({
      url,
      ...patience,
      retry: retryWait,
      onMessage: ({ event }) => tell({ event }),
    });
  },
  // urql subscribes over server-sent events with the same exchange as for queries.
  urql: async () => {
    const { Client, fetchExchange } = await import("@urql/core");
    const client = new Client({ url, exchanges: [fetchExchange], fetchSubscriptions: true });
    const operation = payload.query.trim().startsWith("subscription") ? "subscription" : "query";
    return {
      subscribe: ({ query, variables }, sink) =>
        client[operation](query, variables ?? {}).subscribe(({ data, error, hasNext }) => {
          if (error) sink.error(error.graphQLErrors.length ? error.graphQLErrors : error);
          else if (data) sink.next({ data });
          if (!hasNext && !error) sink.complete();
        }),
      dispose: () => {},
    };
  },
  // Apollo Client's HTTP link requests subscriptions as multipart responses.
  apollo: async () => {
    const { ApolloClient, HttpLink, InMemoryCache, gql } = await import("@apollo/client");
    const link = new HttpLink({ uri: url });
    const client = new ApolloClient({ link, cache: new InMemoryCache() });
    return {
      subscribe: ({ query, variables }, sink) =>
        client.subscribe({ query: gql(query), variables, fetchPolicy: "no-cache" }).subscribe({
          next: ({ data, error }) =>
            error ? sink.error(error.errors ?? error) : sink.next({ data }),
          error: sink.error,
          complete: sink.complete,
        }),
      dispose: () => client.stop(),
    };
  },
};

const client = await CLIENTS[kind]();
client.subscribe(payload, {
  next: (result) => {
    const after = cursorOf(result);
    if (after) payload.variables = { ...payload.variables, after };
    tell({ next: result });
  },
  error: (error) => {
    tell({ error: Array.isArray(error) ? error : String(error) });
    client.dispose();
  },
  complete: () => {
    tell({ complete: true });
    client.dispose();
  },
});
