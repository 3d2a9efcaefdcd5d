// The page of a run: its state, notes and rejected records.
import { useCallback, useEffect, useEffectEvent, useState } from "react";
import { useQuery } from "../api/query";
import { request } from "../api/request";
import { Link, paths } from "../navigation/router";
import { bytes, whole } from "../format/number";
import { Fact } from "../ui/facts";
import { BackIcon } from "../ui/icons";
import { Empty, Problem, Waiting } from "../ui/notes";
import { Ago } from "../ui/values";
import type { RunNote } from "../overview/documents";
import { OneRun, type Rejection, Rejections, type Run } from "./documents";
import { RunDuration } from "./duration";
import { NoteList } from "./notes";
import { StatusBadge } from "./status";
import { runStore, useRun } from "./store";
import { RunAgain } from "./trigger-form";

export function RunDetail({ id }: { id: string }) {
  const { data, error, reload } = useQuery(OneRun, { id });
  const read = data?.run ?? null;
  useEffect(() => {
    if (read) runStore.put([read]);
  }, [read]);
  const run = useRun(id) ?? read;
  const noteCount = run?.noteCount ?? 0;
  // An update of a run has the number of notes, but not their texts.
  const reloadNotes = useEffectEvent(() => {
    if (read && noteCount > read.noteCount) reload();
  });
  useEffect(() => {
    reloadNotes();
  }, [noteCount, run?.status]);
  return (
    <div className="page wide">
      <Link className="back" href={paths.runs}>
        <BackIcon /> Runs
      </Link>
      {error !== null && <Problem error={error} retry={reload} />}
      {run ? (
        <>
          <Head run={run} />
          {read && read.notes.length > 0 && <Notes notes={read.notes} count={read.noteCount} />}
          <RejectionList id={id} failed={run.failed} />
        </>
      ) : data ? (
        <Empty isPage title={`${id.replace("_", " ").replace("run", "Run")} not found`}>
          <p>Check the address.</p>
        </Empty>
      ) : (
        error === null && <Waiting label="Loading the run" />
      )}
    </div>
  );
}

function Head({ run }: { run: Run }) {
  return (
    <section className="card" aria-labelledby="run">
      <div className="card-head">
        <h1 id="run">
          Run {run.id.replace("run_", "")} <span className="coin-name">{run.source}</span>
        </h1>
        <StatusBadge status={run.status} />
        <RunAgain source={run.source} />
      </div>
      {run.message !== null && (
        <p
          className={
            run.status === "FAILURE" || run.status === "ABANDONED" ? "card-note bad" : "card-note"
          }
        >
          {run.message}
        </p>
      )}
      <dl className="facts run-facts">
        <Fact label="Started">
          <Ago instant={run.startedAt} />
        </Fact>
        <Fact label={run.finishedAt === null ? "Duration so far" : "Duration"}>
          <RunDuration run={run} />
        </Fact>
        <Fact label="Pages">{whole(run.pages)}</Fact>
        <Fact label="Records read">{whole(run.processed)}</Fact>
        <Fact label="Changed">{whole(run.changed)}</Fact>
        <Fact label="Unchanged">{whole(run.unchanged)}</Fact>
        <Fact label="Rejected">
          <span className={run.failed > 0 ? "warn" : ""}>{whole(run.failed)}</span>
        </Fact>
        <Fact label="Notes">
          <span className={run.noteCount > 0 ? "warn" : ""}>{whole(run.noteCount)}</span>
        </Fact>
      </dl>
    </section>
  );
}

function Notes({ notes, count }: { notes: readonly RunNote[]; count: number }) {
  return (
    <section className="card" aria-labelledby="noted">
      <div className="card-head">
        <h2 id="noted">Notes</h2>
        <p className="faint small">
          Data that was left out, is in doubt or has no time of its own
          {count > notes.length && `; ${whole(count)} notes in total`}
        </p>
      </div>
      <NoteList notes={notes} />
    </section>
  );
}

const PAGE = 25;

/** The pages of rejected records that have been read. */
interface RejectionPages {
  nodes: readonly Rejection[];
  total: number;
  cursor: string | null;
  hasMore: boolean;
}

async function readRejections(
  id: string,
  before: RejectionPages | null,
): Promise<RejectionPages | null> {
  const { run } = await request(Rejections, { id, first: PAGE, after: before?.cursor ?? null });
  if (!run) return before;
  const { nodes, totalCount, pageInfo } = run.rejections;
  return {
    nodes: [...(before?.nodes ?? []), ...nodes],
    total: totalCount,
    cursor: pageInfo.endCursor,
    hasMore: pageInfo.hasNextPage,
  };
}

function useRejections(id: string, failed: number) {
  const [known, setKnown] = useState<RejectionPages | null>(null);
  const [error, setError] = useState<unknown>(null);
  const load = useCallback(
    (before: RejectionPages | null) => {
      readRejections(id, before).then((pages) => {
        setKnown(pages);
        setError(null);
      }, setError);
    },
    [id],
  );
  // A run may reject more records. The list then starts again from its first page.
  useEffect(() => load(null), [load, failed]);
  return { known, error, more: () => load(known), retry: () => load(null) };
}

function RejectionList({ id, failed }: { id: string; failed: number }) {
  const { known, error, more, retry } = useRejections(id, failed);
  return (
    <section className="card" aria-labelledby="rejected">
      <div className="card-head">
        <h2 id="rejected">Rejected records</h2>
        {known && known.total > 0 && (
          <p className="faint small">
            {whole(known.total)} stored byte for byte; bytes that are not UTF-8 are shown as \xNN
          </p>
        )}
      </div>
      {error !== null && <Problem error={error} retry={retry} />}
      {!known && error === null && <Waiting rows={2} />}
      {known && known.nodes.length === 0 && (
        <p className="card-note faint">
          {failed > 0
            ? "The rejected records are no longer stored."
            : "The run rejected no records."}
        </p>
      )}
      <ul className="rejections">
        {known?.nodes.map((rejection) => (
          <RejectionItem key={rejection.id} rejection={rejection} />
        ))}
      </ul>
      {known?.hasMore && (
        <p className="card-note">
          <button type="button" onClick={more}>
            Load more
          </button>
        </p>
      )}
    </section>
  );
}

function RejectionItem({
  rejection: { externalId, error, payload, rejectedAt, id },
}: {
  rejection: Rejection;
}) {
  return (
    <li>
      <p>
        <strong>{error}</strong>
      </p>
      <p className="faint small">
        {externalId === null ? (
          "Its id is not readable"
        ) : (
          <>
            Id <code>{externalId}</code>
          </>
        )}
        , <Ago instant={rejectedAt} />, {bytes(new TextEncoder().encode(payload).length)}
      </p>
      <pre
        className="bytes scroll"
        tabIndex={0}
        role="region"
        aria-label={`The record of ${id.replace("_", " ")}`}
      >
        {payload}
      </pre>
    </li>
  );
}
