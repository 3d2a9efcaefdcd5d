import { type FragmentOf, graphql, type ResultOf } from "../api/graphql";

export const RunNotes = graphql(`
  fragment RunNotes on Run @_unmask {
    notes {
      about
      text
      count
    }
  }
`);

export const Overview = graphql(
  `
    query Overview {
      stats {
        isDemo
        totalNormalized
        totalListings
        lastSuccess {
          id
          source
          finishedAt
        }
      }
      sources {
        name
        kind
        enabled
        pollSeconds
        health
        consecutiveFailures
        listingCount
        nextRunAt
        checkpoint {
          lastId
          lastTimestamp
          updatedAt
        }
        lastRun {
          id
          status
          startedAt
          finishedAt
          durationMs
          processed
          failed
          changed
          message
          noteCount
          ...RunNotes
        }
      }
    }
  `,
  [RunNotes],
);

export type Source = ResultOf<typeof Overview>["sources"][number];
export type Stats = ResultOf<typeof Overview>["stats"];
export type RunNote = FragmentOf<typeof RunNotes>["notes"][number];
