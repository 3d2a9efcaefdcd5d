import { type FragmentOf, graphql, type ResultOf, type VariablesOf } from "../api/graphql";
import { RunNotes } from "../overview/documents";

export const RunRow = graphql(`
  fragment RunRow on Run @_unmask {
    id
    source
    status
    startedAt
    finishedAt
    durationMs
    processed
    failed
    changed
    unchanged
    pages
    message
    noteCount
  }
`);

export type Run = FragmentOf<typeof RunRow>;
export type RunStatus = Run["status"];

export const RunPage = graphql(
  `
    query RunPage($filter: RunFilter, $first: Int!, $after: String) {
      runs(filter: $filter, first: $first, after: $after) {
        nodes {
          ...RunRow
        }
        pageInfo {
          hasNextPage
          endCursor
        }
      }
    }
  `,
  [RunRow],
);

export type RunFilter = NonNullable<VariablesOf<typeof RunPage>["filter"]>;

export const RunUpdates = graphql(
  `
    subscription RunUpdates($after: String) {
      runUpdates(after: $after) {
        cursor
        type
        run {
          ...RunRow
        }
      }
    }
  `,
  [RunRow],
);

export const OneRun = graphql(
  `
    query OneRun($id: ID!) {
      run(id: $id) {
        ...RunRow
        ...RunNotes
      }
    }
  `,
  [RunRow, RunNotes],
);

export const Rejections = graphql(`
  query Rejections($id: ID!, $first: Int!, $after: String) {
    run(id: $id) {
      rejections(first: $first, after: $after) {
        totalCount
        nodes {
          id
          externalId
          error
          payload
          rejectedAt
        }
        pageInfo {
          hasNextPage
          endCursor
        }
      }
    }
  }
`);

export type Rejection = NonNullable<
  ResultOf<typeof Rejections>["run"]
>["rejections"]["nodes"][number];

export const TriggerEtl = graphql(`
  mutation TriggerEtl($sources: [String!], $full: Boolean) {
    triggerEtl(input: { sources: $sources, full: $full }) {
      request {
        id
      }
    }
  }
`);

export const RequestProgress = graphql(
  `
    query RequestProgress($id: ID!) {
      node(id: $id) {
        __typename
        ... on EtlRequest {
          id
          status
          requestedAt
          sources
          runs {
            ...RunRow
          }
        }
      }
    }
  `,
  [RunRow],
);
