"use strict";

const examples = [
  `# The greatest coins. Ctrl-Enter runs it; Ctrl-Space completes.
query Coins {
  coins(first: 10) {
    nodes {
      ticker
      name
      priceUsd
      marketCapUsd
      percentChange24h
      source
      isStale
    }
    pageInfo {
      hasNextPage
      endCursor
    }
  }
}
`,
  `# One coin, and the data of each source.
query Coin($ticker: String!) {
  coin(ticker: $ticker) {
    ticker
    name
    priceUsdExact
    priceSpreadPercent
    provenance {
      field
      source
      observedAt
    }
    listings {
      source
      externalId
      priceUsd
      observedAt
    }
    rivals {
      source
      name
      marketCapUsd
    }
  }
}
`,
  `# The health of each source.
query Sources {
  sources {
    name
    health
    listingCount
    nextRunAt
    lastRun {
      status
      processed
      failed
      durationMs
      message
    }
  }
}
`,
  `# Coins as they change.
subscription CoinUpdates {
  coinUpdates {
    cursor
    lagged
    coins {
      ticker
      priceUsd
      createdAt
    }
  }
}
`,
  `# Runs as they start, advance and finish.
subscription RunUpdates {
  runUpdates {
    cursor
    type
    run {
      id
      source
      status
      processed
      failed
      pages
    }
  }
}
`,
];

const address = new URL(`${document.documentElement.dataset.root}graphql`, location.href);
const socket = new URL(address);
socket.protocol = location.protocol === "https:" ? "wss:" : "ws:";

// Headers are never stored, because they may contain the scheduler token.
// shouldPersistHeaders excludes them from the tabs, but GraphiQL's history stores them.
const storage = {
  getItem: (key) => localStorage.getItem(key),
  setItem(key, value) {
    const kept = /:(queries|favorites|tabState)$/.test(key)
      ? JSON.stringify(JSON.parse(value), (name, inner) => (name === "headers" ? undefined : inner))
      : value;
    localStorage.setItem(key, kept);
  },
  removeItem: (key) => localStorage.removeItem(key),
  clear: () => localStorage.clear(),
  get length() {
    return localStorage.length;
  },
};

ReactDOM.createRoot(document.getElementById("graphiql")).render(
  React.createElement(GraphiQL, {
    fetcher: GraphiQL.createFetcher({ url: address.href, subscriptionUrl: socket.href }),
    defaultTabs: examples.map((query) => ({
      query,
      variables: query.includes("$ticker") ? '{ "ticker": "BTC" }' : null,
    })),
    storage,
    shouldPersistHeaders: false,
    isHeadersEditorEnabled: true,
  }),
);

// The page shows first that the prices of a demo are made up.
fetch(address, {
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify({ query: "{ stats { isDemo } }" }),
})
  .then((response) => response.json())
  .then(({ data }) => {
    if (!data.stats.isDemo) return;
    document.getElementById("demo").hidden = false;
    document.title = `Demo - ${document.title}`;
  })
  .catch(() => {}); // the first query shows that the server does not answer
