// Operations of a Relay application: a connection page, its refetch, a node, a mutation, and a
// subscription.
import { graphql } from "relay-runtime";

export const query = graphql`
  query CoinsQuery($count: Int = 2) {
    ...Coins_page @arguments(count: $count)
    sources {
      name
    }
  }
`;

export const page = graphql`
  fragment Coins_page on Query
  @argumentDefinitions(count: { type: "Int", defaultValue: 2 }, cursor: { type: "String" })
  @refetchable(queryName: "CoinsPageQuery") {
    coins(first: $count, after: $cursor) @connection(key: "Coins_coins") {
      edges {
        node {
          id
          ...Coins_coin
        }
      }
    }
  }
`;

export const coin = graphql`
  fragment Coins_coin on Coin @refetchable(queryName: "CoinsCoinQuery") {
    id
    ticker
    priceUsdExact
    createdAt
  }
`;

export const trigger = graphql`
  mutation CoinsTriggerMutation {
    triggerEtl {
      request {
        id
      }
    }
  }
`;

export const updates = graphql`
  subscription CoinsUpdatesSubscription($after: String) {
    coinUpdates(after: $after) {
      cursor
      coins {
        id
        ...Coins_coin
      }
    }
  }
`;
