// A query that a component shows: asked when it appears, when its variables change, and when the connection is back.
import { useCallback, useEffect, useState } from "react";
import type { TadaDocumentNode } from "./graphql";
import { request } from "./request";
import { connection } from "./socket";
import { useStore } from "./store";

export interface QueryState<Result> {
  /** The last answer; what is shown stays while it is asked for again. */
  data: Result | null;
  error: unknown;
  reload: () => void;
}

interface Answered<Result> {
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
  const [answered, setAnswered] = useState<Answered<Result>>({ key, data: null, error: null });
  const [version, setVersion] = useState(0);
  const { epoch } = useStore(connection);
  // The first connection comes while the first answer is on its way.
  const recovery = Math.max(1, epoch);
  useEffect(() => {
    const aborter = new AbortController();
    request(document, JSON.parse(key) as Variables, { signal: aborter.signal })
      .then((data) => setAnswered({ key, data, error: null }))
      .catch((error: unknown) => {
        if (!aborter.signal.aborted)
          setAnswered((before) => ({ key, data: before.key === key ? before.data : null, error }));
      });
    return () => aborter.abort();
  }, [document, key, version, recovery]);
  const reload = useCallback(() => setVersion((before) => before + 1), []);
  const isCurrent = answered.key === key;
  return {
    data: isCurrent ? answered.data : null,
    error: isCurrent ? answered.error : null,
    reload,
  };
}
