import { type FragmentOf, graphql, type VariablesOf } from "../api/graphql";

export const CoinRow = graphql(`
  fragment CoinRow on Coin @_unmask {
    ticker
    name
    rank
    priceUsdExact
    percentChange24h
    marketCapUsd
    volume24hUsd
    priceSpreadPercent
    source
    createdAt
    ingestedAt
    isStale
    isSuspect
  }
`);

export type Coin = FragmentOf<typeof CoinRow>;

export const CoinPage = graphql(
  `
    query CoinPage($filter: CoinFilter, $orderBy: CoinOrder, $first: Int!, $after: String) {
      coins(filter: $filter, orderBy: $orderBy, first: $first, after: $after) {
        nodes {
          ...CoinRow
        }
        pageInfo {
          hasNextPage
          endCursor
        }
      }
    }
  `,
  [CoinRow],
);

export const CoinCount = graphql(`
  query CoinCount($filter: CoinFilter) {
    coins(filter: $filter, first: 1) {
      totalCount
    }
  }
`);

export const CoinUpdates = graphql(
  `
    subscription CoinUpdates($after: String) {
      coinUpdates(after: $after) {
        cursor
        lagged
        coins {
          ...CoinRow
        }
      }
    }
  `,
  [CoinRow],
);

export const Sparklines = graphql(`
  query Sparklines($tickers: [String!]!, $first: Int!, $day: DateTime!, $hour: DateTime!) {
    coins(filter: { ticker: { in: $tickers } }, first: $first) {
      nodes {
        ticker
        day: candles(interval: H1, from: $day) {
          start
          close
        }
        hour: candles(interval: M1, from: $hour) {
          start
          close
        }
      }
    }
  }
`);

export type CoinFilter = NonNullable<VariablesOf<typeof CoinPage>["filter"]>;
export type CoinOrderField = NonNullable<VariablesOf<typeof CoinPage>["orderBy"]>["field"];

export interface CoinOrder {
  field: CoinOrderField;
  direction: "ASC" | "DESC";
}
