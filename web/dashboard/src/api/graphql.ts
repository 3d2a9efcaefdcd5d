// Documents are typed against schema.graphql, and each is validated, when the page is built.
import { initGraphQLTada } from "gql.tada";
import type { introspection } from "../schema.generated";

export const graphql = initGraphQLTada<{
  introspection: introspection;
  scalars: {
    /** Every digit, never with an exponent. */
    Decimal: string;
    /** RFC 3339 in UTC with six decimals: instants compare as text. */
    DateTime: string;
    JSON: unknown;
  };
}>();

export {
  type FragmentOf,
  type ResultOf,
  readFragment,
  type TadaDocumentNode,
  type VariablesOf,
} from "gql.tada";
