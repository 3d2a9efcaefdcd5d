// The page of sources: health, next poll and checkpoint of each.
import { Link, paths } from "../navigation/router";
import { whole } from "../format/number";
import { ago, duration, period } from "../format/time";
import { NoteBadge, NoteList } from "../runs/notes";
import { StatusBadge } from "../runs/status";
import { Fact } from "../ui/facts";
import { Empty, Problem, Waiting } from "../ui/notes";
import { useNow } from "../ui/now";
import { Ago, Nothing } from "../ui/values";
import type { Source } from "../overview/documents";
import { FilesRead } from "./files-read";
import { healthProblem } from "../overview/health";
import { scheduleOverview, useOverview } from "../overview/store";

export default function SourcesPage() {
  const { sources, error } = useOverview();
  return (
    <div className="page wide">
      <h1 className="visually-hidden">Sources</h1>
      {error !== null && <Problem error={error} retry={() => scheduleOverview(0)} />}
      {sources === null ? (
        error === null && <Waiting />
      ) : sources.length === 0 ? (
        <Empty title="No sources configured">
          <p>The ingestor adds them when it first starts.</p>
        </Empty>
      ) : (
        <>
          <div className="source-cards">
            {sources.map((source, index) => (
              <SourceCard key={source.name} source={source} priority={index + 1} />
            ))}
          </div>
          <FilesRead stamp={runsOfFiles(sources)} />
        </>
      )}
    </div>
  );
}

/** A key that changes when a run of a file source ends. */
function runsOfFiles(sources: readonly Source[]): string {
  return sources
    .filter(({ kind }) => kind === "FILE")
    .map(({ lastRun }) => `${lastRun?.id} ${lastRun?.finishedAt}`)
    .join(", ");
}

const HEALTH = {
  OK: { kind: "good", label: "Healthy" },
  DEGRADED: { kind: "caution", label: "Degraded" },
  DOWN: { kind: "bad", label: "Down" },
  UNKNOWN: { kind: "", label: "Unknown" },
};

function SourceCard({ source, priority }: { source: Source; priority: number }) {
  const { kind, label } = source.enabled ? HEALTH[source.health] : { kind: "", label: "Disabled" };
  const problem = healthProblem(source);
  return (
    <section className="card source" aria-labelledby={`source-${source.name}`}>
      <div className="card-head">
        <h2 id={`source-${source.name}`}>{source.name}</h2>
        <span className={`badge ${kind}`}>{label}</span>
      </div>
      {problem !== null && source.enabled && (
        <p className="card-note warn">
          {problem[0]?.toUpperCase()}
          {problem.slice(1)}.
        </p>
      )}
      <dl className="pairs">
        <Fact label="Kind">{source.kind === "API" ? "API" : "Files"}</Fact>
        <Fact label="Priority">{priority}</Fact>
        <Fact label="Listings">
          <Link href={`${paths.coins}?source=${encodeURIComponent(source.name)}`}>
            {whole(source.listingCount)}
          </Link>
        </Fact>
        <Fact label="Next run">
          <NextRun source={source} />
        </Fact>
        <Fact label="Poll interval">{period(source.pollSeconds)}</Fact>
        {source.kind === "API" && (
          <Fact label="Polls per month">
            {whole(Math.round(MONTH_SECONDS / source.pollSeconds))}
          </Fact>
        )}
        <Fact label="Consecutive failures">
          <span className={source.consecutiveFailures > 0 ? "warn" : ""}>
            {source.consecutiveFailures}
          </span>
        </Fact>
      </dl>
      <LastRun source={source} />
      <CheckpointFacts source={source} />
    </section>
  );
}

const MONTH_SECONDS = 30 * 86_400;

function NextRun({ source: { enabled, nextRunAt, lastRun } }: { source: Source }) {
  const text = useNow((now) => {
    if (!enabled || nextRunAt === null) return "not polled";
    if (lastRun?.status === "RUNNING") return "running";
    const next = Date.parse(nextRunAt);
    return next <= now ? "due" : ago(next, now);
  });
  return <>{text}</>;
}

function LastRun({ source: { lastRun } }: { source: Source }) {
  return (
    <>
      <h3>Last run</h3>
      {lastRun === null ? (
        <p className="faint pairs">None yet.</p>
      ) : (
        <dl className="pairs">
          <Fact label={<Link href={paths.run(lastRun.id)}>{lastRun.id.replace("_", " ")}</Link>}>
            <span className="badges">
              <NoteBadge run={lastRun} />
              <StatusBadge status={lastRun.status} />
            </span>
          </Fact>
          <Fact label="Started">
            <Ago instant={lastRun.startedAt} />
          </Fact>
          <Fact label="Duration">
            {lastRun.durationMs === null ? <Nothing /> : duration(lastRun.durationMs)}
          </Fact>
          <Fact label="Read, changed, rejected">
            {whole(lastRun.processed)}, {whole(lastRun.changed)},{" "}
            <span className={lastRun.failed > 0 ? "warn" : ""}>{whole(lastRun.failed)}</span>
          </Fact>
        </dl>
      )}
      {lastRun?.message && <p className="faint source-message">{lastRun.message}</p>}
      {lastRun && lastRun.notes.length > 0 && <LastNotes run={lastRun} />}
    </>
  );
}

const MAX_NOTES = 5;

function LastNotes({ run: { id, notes } }: { run: NonNullable<Source["lastRun"]> }) {
  const hiddenCount = notes.length - MAX_NOTES;
  return (
    <>
      <h3>Notes of the last run</h3>
      <NoteList notes={notes.slice(0, MAX_NOTES)} />
      {hiddenCount > 0 && (
        <p className="source-message">
          <Link href={paths.run(id)}>
            {whole(hiddenCount)} more in {id.replace("_", " ")}
          </Link>
        </p>
      )}
    </>
  );
}

function CheckpointFacts({ source: { checkpoint } }: { source: Source }) {
  return (
    <>
      <h3>Checkpoint</h3>
      {checkpoint === null ? (
        <p className="faint pairs">None yet.</p>
      ) : (
        <dl className="pairs">
          <Fact label="Last record">
            <code>{checkpoint.lastId ?? <Nothing />}</code>
          </Fact>
          <Fact label="Newest observation">
            <Ago instant={checkpoint.lastTimestamp} />
          </Fact>
          <Fact label="Updated">
            <Ago instant={checkpoint.updatedAt} />
          </Fact>
        </dl>
      )}
    </>
  );
}
