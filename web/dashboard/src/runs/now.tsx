// The current state of each source, one line each.
import { useSyncExternalStore } from "react";
import { Link, paths } from "../navigation/router";
import { whole } from "../format/number";
import { ago, span } from "../format/time";
import type { Source } from "../overview/documents";
import { useOverview } from "../overview/store";
import { Waiting } from "../ui/notes";
import { useNow } from "../ui/now";
import type { Run } from "./documents";
import { notesLabel } from "./notes";
import { StatusBadge } from "./status";
import { runStore } from "./store";

export function Now() {
  const { sources } = useOverview();
  return (
    <section className="card" aria-labelledby="now">
      <div className="card-head">
        <h2 id="now">Now</h2>
      </div>
      {sources ? (
        <ul className="now">
          {sources.map((source) => (
            <SourceNow key={source.name} source={source} />
          ))}
        </ul>
      ) : (
        <Waiting rows={3} />
      )}
    </section>
  );
}

function SourceNow({ source }: { source: Source }) {
  const run = useSyncExternalStore(runStore.subscribe, () => runStore.newestOf(source.name));
  return (
    <li>
      <span className="strong">{source.name}</span>
      {run ? (
        <StatusBadge status={run.status} />
      ) : (
        <span className="badge">{source.enabled ? "Never run" : "Disabled"}</span>
      )}
      <Bar run={run} expected={source.listingCount} name={source.name} />
      <span className="faint now-counts">{run && <RunCounts run={run} />}</span>
      <span className="faint number">
        <NextRun source={source} run={run} />
      </span>
    </li>
  );
}

/** The progress of a run, estimated by the number of listings that the source had before. */
function Bar({ run, expected, name }: { run: Run | undefined; expected: number; name: string }) {
  const isRunning = run?.status === "RUNNING";
  const share = isRunning && expected > 0 ? Math.min(1, run.processed / expected) : 0;
  return (
    <span
      className={isRunning ? "progress running" : "progress"}
      role="progressbar"
      aria-label={`Run of ${name}`}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={isRunning ? Math.round(share * 100) : 100}
      aria-valuetext={
        isRunning
          ? `${whole(run.processed)} of about ${whole(expected)} records`
          : "no run in progress"
      }
    >
      <span style={{ width: `${share * 100}%` }} />
    </span>
  );
}

function RunCounts({ run }: { run: Run }) {
  return (
    <>
      <Link href={paths.run(run.id)}>{run.id.replace("_", " ")}</Link>{" "}
      {`${whole(run.processed)} read, ${whole(run.changed)} changed`}
      {run.failed > 0 && <span className="warn">, {whole(run.failed)} rejected</span>}
      {run.noteCount > 0 && <span className="warn">, {notesLabel(run.noteCount)}</span>}
    </>
  );
}

function NextRun({ source, run }: { source: Source; run: Run | undefined }) {
  const isRunning = run?.status === "RUNNING";
  const text = useNow((now) => {
    if (isRunning) return `running for ${span(now - Date.parse(run.startedAt))}`;
    if (!source.enabled || source.nextRunAt === null) return "not polled";
    const next = Date.parse(source.nextRunAt);
    return next <= now ? "due" : `next ${ago(next, now)}`;
  });
  return <>{text}</>;
}
