// The form that asks for a run, and what became of it.
import { type SubmitEvent, useEffect, useId, useState } from "react";
import { useQuery } from "../api/query";
import { useStore } from "../api/store";
import { Link, paths } from "../navigation/router";
import { useOverview } from "../overview/store";
import { Problem } from "../ui/notes";
import { Ago } from "../ui/values";
import { RequestProgress } from "./documents";
import { NoteBadge } from "./notes";
import { StatusBadge } from "./status";
import { runStore } from "./store";
import { lastRequest, token, trigger } from "./trigger";

export function TriggerForm() {
  const { sources } = useOverview();
  const enabled = (sources ?? []).filter((source) => source.enabled).map(({ name }) => name);
  const [left, setLeft] = useState<ReadonlySet<string>>(new Set());
  const [full, setFull] = useState(false);
  const wanted = enabled.filter((name) => !left.has(name));
  const toggle = (name: string) =>
    setLeft(
      (before) =>
        new Set(before.has(name) ? [...before].filter((one) => one !== name) : [...before, name]),
    );
  const { submit, busy, error } = useTrigger(() => trigger(left.size === 0 ? null : wanted, full));
  const requestId = useStore(lastRequest);
  return (
    <section className="card" aria-labelledby="trigger">
      <div className="card-head">
        <h2 id="trigger">Ask for a run</h2>
        <p className="faint small">The token stays in this page's memory and is gone with it.</p>
      </div>
      <form className="trigger" onSubmit={submit}>
        <TokenField />
        <fieldset>
          <legend>Sources</legend>
          {enabled.map((name) => (
            <label key={name} className="check">
              <input type="checkbox" checked={!left.has(name)} onChange={() => toggle(name)} />
              {name}
            </label>
          ))}
        </fieldset>
        <label
          className="check"
          title="Ignore checkpoints and what the sources say has not changed"
        >
          <input
            type="checkbox"
            checked={full}
            onChange={(event) => setFull(event.target.checked)}
          />
          From the start
        </label>
        <button type="submit" className="primary" disabled={busy || wanted.length === 0}>
          {busy ? "Asking …" : "Run now"}
        </button>
      </form>
      {error !== null && <Problem error={error} />}
      {requestId !== null && <Progress key={requestId} id={requestId} />}
    </section>
  );
}

function useTrigger(ask: () => Promise<void>) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    if (token.get() === "") {
      setError(new Error("It needs the scheduler token: `kasparro token` shows it."));
      return;
    }
    setBusy(true);
    setError(null);
    ask()
      .catch(setError)
      .finally(() => setBusy(false));
  };
  return { submit, busy, error };
}

// Masked text, not a password: a browser would offer to keep that.
function TokenField() {
  const value = useStore(token);
  const id = useId();
  return (
    <div className="field">
      <label htmlFor={id}>Scheduler token</label>
      <input
        id={id}
        className="masked"
        value={value}
        onChange={(event) => token.set(event.target.value.trim())}
        autoComplete="off"
        autoCapitalize="off"
        spellCheck={false}
        placeholder="kasparro token"
      />
    </div>
  );
}

/** Ask again for the source of one run. */
export function RunAgain({ source }: { source: string }) {
  const hasToken = useStore(token) !== "";
  const [isOpen, setOpen] = useState(false);
  const { submit, busy, error } = useTrigger(() => trigger([source], false));
  const requestId = useStore(lastRequest);
  const [asked, setAsked] = useState(false);
  return (
    <form
      className="again"
      onSubmit={(event) => {
        if (!hasToken && !isOpen) {
          event.preventDefault();
          setOpen(true);
          return;
        }
        setAsked(true);
        submit(event);
      }}
    >
      {isOpen && <TokenField />}
      <button type="submit" className={isOpen ? "primary" : ""} disabled={busy}>
        {busy ? "Asking …" : `Run ${source} again`}
      </button>
      {error !== null && <Problem error={error} />}
      {asked && error === null && requestId !== null && <Progress key={requestId} id={requestId} />}
    </form>
  );
}

const ASK_AGAIN_MS = 2_000;

const SAID = { PENDING: "waits for an ingestor", RUNNING: "is under way", DONE: "is done" };

function Progress({ id }: { id: string }) {
  const { data, reload } = useQuery(RequestProgress, { id });
  const found = data?.node?.__typename === "EtlRequest" ? data.node : null;
  const isDone = found?.status === "DONE";
  // A run that moves tells of its request; where none has begun yet nothing tells, so it is asked for.
  useEffect(() => {
    if (isDone) return;
    const stop = runStore.subscribe(reload);
    const timer = setInterval(reload, ASK_AGAIN_MS);
    return () => {
      stop();
      clearInterval(timer);
    };
  }, [isDone, reload]);
  if (!found) return null;
  return (
    <div className="request" role="status">
      <p>
        <strong>{id.replace("_", " ")}</strong> {SAID[found.status]}; asked{" "}
        <Ago instant={found.requestedAt} />.
      </p>
      <ul>
        {found.runs.map((run) => (
          <li key={run.id}>
            <StatusBadge status={run.status} /> <NoteBadge run={run} />{" "}
            <Link href={paths.run(run.id)}>{run.id.replace("_", " ")}</Link> {run.source}
          </li>
        ))}
      </ul>
    </div>
  );
}
