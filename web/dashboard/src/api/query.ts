// A query of a component. It is sent when the component is mounted, when the variables change, and
// when the connection is restored.
import { useCallback, useEffect, useState } from "react";
import type { TadaDocumentNode } from "./graphql";
import { request } from "./request";
import { connection } from "./socket";
import { useStore } from "./store";

export interface QueryState<Result> {
  /** The last response; it stays while the query is sent again. */
  data: Result | null;
  error: unknown;
  reload: () => void;
}

interface QueryResult<Result> {
  key: string;
  data: Result | null;
  error: unknown;
}

/** `document` must be a constant. */
export function useQuery<Result, Variables>(
  document: TadaDocumentNode<Result, Variables>,
  variables: Variables,
): QueryState<Result> {
  const key = JSON.stringify(variables);
  const [result, setResult] = useState<QueryResult<Result>>({ key, data: null, error: null });
  const [version, setVersion] = useState(0);
  const { epoch } = useStore(connection);
  // The first connection opens while the first response is pending.
  const recovery = Math.max(1, epoch);
  useEffect(() => {
    const aborter = new AbortController();
    request(document, JSON.parse(key) as Variables, { signal: aborter.signal })
      .then((data) => setResult({ key, data, error: null }))
      .catch((error: unknown) => {
        if (!aborter.signal.aborted)
          setResult((before) => ({ key, data: before.key === key ? before.data : null, error }));
      });
    return () => aborter.abort();
  }, [document, key, version, recovery]);
  const reload = useCallback(() => setVersion((before) => before + 1), []);
  const isCurrent = result.key === key;
  return {
    data: isCurrent ? result.data : null,
    error: isCurrent ? result.error : null,
    reload,
  };
}
