import { graphql, type ResultOf } from "../api/graphql";
import { RunNotes } from "../runs/documents";

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
