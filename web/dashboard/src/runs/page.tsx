// The page of runs: current runs, past runs, and the form that requests one.
import { useEffect, useMemo } from "react";
import { useStore } from "../api/store";
import { Link, paths, useSearch } from "../navigation/router";
import { whole } from "../format/number";
import { useOverview } from "../overview/store";
import { Choice } from "../ui/choice";
import { Empty, Problem, Waiting } from "../ui/notes";
import { Ago } from "../ui/values";
import type { RunStatus } from "./documents";
import { RunDuration } from "./duration";
import { RunList } from "./list";
import { runGaps, latest } from "./live";
import { NoteBadge } from "./notes";
import { Now } from "./now";
import { RunDetail } from "./run";
import { StatusBadge, STATUSES } from "./status";
import { useRun } from "./store";
import { TriggerForm } from "./trigger-form";

export default function RunsPage({ id }: { id?: string }) {
  if (id !== undefined) return <RunDetail key={id} id={id} />;
  return (
    <div className="page wide">
      <h1 className="visually-hidden">Runs</h1>
      <Now />
      <TriggerForm />
      <Runs />
    </div>
  );
}

const WITH_NOTES = "some";

function statusOf(text: string | null): RunStatus | null {
  return STATUSES.find(([status]) => status === text)?.[0] ?? null;
}

function Runs() {
  const search = useSearch();
  const { sources } = useOverview();
  const source = search.get("source");
  const status = statusOf(search.get("status"));
  const withNotes = search.get("notes") === WITH_NOTES;
  const list = useMemo(() => new RunList(source, status, withNotes), [source, status, withNotes]);
  const { ids, hasMore, loading, error } = useStore(list.state);
  const gaps = useStore(runGaps);
  useEffect(() => void list.reload(), [list, gaps]);
  useEffect(
    () =>
      latest.subscribe(() => {
        const run = latest.get();
        if (run) list.take(run);
      }),
    [list],
  );
  return (
    <section className="card" aria-labelledby="runs">
      <div className="card-head">
        <h2 id="runs">All runs</h2>
        <Choice
          label="Source"
          name="source"
          value={source}
          options={(sources ?? []).map(({ name }) => [name, name])}
          any="All sources"
        />
        <Choice label="Status" name="status" value={status} options={STATUSES} any="Any status" />
        <Choice
          label="Notes"
          name="notes"
          value={withNotes ? WITH_NOTES : null}
          options={[[WITH_NOTES, "With notes"]]}
          any="Any notes"
        />
      </div>
      {error !== null && <Problem error={error} retry={() => void list.reload()} />}
      {ids.length > 0 ? (
        <RunTable ids={ids} />
      ) : loading ? (
        <Waiting />
      ) : (
        error === null && <Empty title="No matches" />
      )}
      {hasMore && ids.length > 0 && (
        <p className="card-note">
          <button type="button" disabled={loading} onClick={() => void list.loadMore()}>
            {loading ? "Loading …" : "Older runs"}
          </button>
        </p>
      )}
    </section>
  );
}

const NUMBERS = ["Duration", "Pages", "Read", "Changed", "Unchanged", "Rejected"];

function RunTable({ ids }: { ids: readonly string[] }) {
  return (
    <div className="scroll" tabIndex={0} role="region" aria-label="Table of runs">
      <table className="grid runs">
        <thead>
          <tr>
            <th scope="col">Run</th>
            <th scope="col">Source</th>
            <th scope="col">Status</th>
            <th scope="col">Started</th>
            {NUMBERS.map((label) => (
              <th key={label} scope="col" className="number">
                {label}
              </th>
            ))}
            <th scope="col">Message</th>
          </tr>
        </thead>
        <tbody>
          {ids.map((id) => (
            <RunRow key={id} id={id} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function RunRow({ id }: { id: string }) {
  const run = useRun(id);
  if (!run) return null;
  return (
    <tr>
      <th scope="row">
        <Link href={paths.run(id)}>{id.replace("run_", "")}</Link>
      </th>
      <td>{run.source}</td>
      <td>
        <span className="badges">
          <StatusBadge status={run.status} />
          <NoteBadge run={run} />
        </span>
      </td>
      <td className="faint">
        <Ago instant={run.startedAt} />
      </td>
      <td className="number">
        <RunDuration run={run} />
      </td>
      {[run.pages, run.processed, run.changed, run.unchanged].map((count, index) => (
        <td key={index} className={count === 0 ? "number faint" : "number"}>
          {whole(count)}
        </td>
      ))}
      <td className={run.failed > 0 ? "number warn strong" : "number faint"}>
        {whole(run.failed)}
      </td>
      <td className="message faint" title={run.message ?? undefined}>
        {run.message}
      </td>
    </tr>
  );
}
