import { duration } from "../format/time";
import { useNow } from "../ui/now";
import type { Run } from "./documents";

/** The duration of a run; the whole seconds so far while it runs. */
export function RunDuration({ run }: { run: Run }) {
  const start = Date.parse(run.startedAt);
  const elapsed = useNow((now) =>
    run.finishedAt === null ? duration(Math.floor(Math.max(0, now - start) / 1_000) * 1_000) : "",
  );
  return <>{run.durationMs === null ? elapsed : duration(run.durationMs)}</>;
}
