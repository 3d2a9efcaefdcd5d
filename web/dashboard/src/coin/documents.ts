import { type FragmentOf, graphql, type ResultOf, type VariablesOf } from "../api/graphql";
import { CoinRow } from "../coins/documents";

export const ListingFacts = graphql(`
  fragment ListingFacts on Listing @_unmask {
    id
    source
    externalId
    ticker
    symbol
    name
    rank
    priceUsd
    marketCapUsd
    volume24hUsd
    percentChange24h
    circulatingSupply
    totalSupply
    maxSupply
    observedAt
    firstSeenAt
    lastSeenAt
    active
    missingSince
    addresses {
      chain
      address
    }
  }
`);

export type Listing = FragmentOf<typeof ListingFacts>;

export const CoinDetail = graphql(
  `
    query CoinDetail($ticker: String!) {
      coin(ticker: $ticker) {
        ...CoinRow
        confidence
        asset {
          key
          ticker
          names
          formerTickers {
            ticker
            until
          }
          addresses {
            chain
            address
            sources
          }
          coins {
            ticker
          }
          listings {
            ...ListingFacts
          }
        }
        excluded {
          source
          externalId
          field
          value
          reason
          observedAt
        }
        provenance {
          field
          source
          externalId
          observedAt
        }
        listings {
          ...ListingFacts
        }
        rivals {
          ...ListingFacts
        }
      }
    }
  `,
  [CoinRow, ListingFacts],
);

export type Detail = NonNullable<ResultOf<typeof CoinDetail>["coin"]>;
export type Provenance = Detail["provenance"];
export type Asset = NonNullable<Detail["asset"]>;
export type Excluded = Detail["excluded"][number];

export const Candles = graphql(`
  query Candles($ticker: String!, $interval: CandleInterval!, $from: DateTime!, $to: DateTime) {
    coin(ticker: $ticker) {
      candles(interval: $interval, from: $from, to: $to) {
        start
        open
        high
        low
        close
        samples
      }
    }
  }
`);

export type Candle = NonNullable<ResultOf<typeof Candles>["coin"]>["candles"][number];
export type Interval = VariablesOf<typeof Candles>["interval"];

export const Payload = graphql(`
  query Payload($source: String!, $externalId: String!) {
    listing(source: $source, externalId: $externalId) {
      payload
    }
  }
`);
