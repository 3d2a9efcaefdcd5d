import { duration } from "../format/time";
import { useNow } from "../ui/now";
import type { Run } from "./documents";

/** How long a run took; while it is under way, the whole seconds so far. */
export function RunDuration({ run }: { run: Run }) {
  const start = Date.parse(run.startedAt);
  const elapsed = useNow((now) =>
    run.finishedAt === null ? duration(Math.floor(Math.max(0, now - start) / 1_000) * 1_000) : "",
  );
  return <>{run.durationMs === null ? elapsed : duration(run.durationMs)}</>;
}
