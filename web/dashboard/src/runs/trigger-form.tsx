// The form that requests a run, and the progress of the request.
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
  const [excluded, setExcluded] = useState<ReadonlySet<string>>(new Set());
  const [full, setFull] = useState(false);
  const selected = enabled.filter((name) => !excluded.has(name));
  const toggle = (name: string) =>
    setExcluded(
      (before) =>
        new Set(before.has(name) ? [...before].filter((one) => one !== name) : [...before, name]),
    );
  const { submit, busy, error } = useTrigger(() =>
    trigger(excluded.size === 0 ? null : selected, full),
  );
  const requestId = useStore(lastRequest);
  return (
    <section className="card" aria-labelledby="trigger">
      <div className="card-head">
        <h2 id="trigger">Start a run</h2>
        <p className="faint small">The token is held in this page's memory only.</p>
      </div>
      <form className="trigger" onSubmit={submit}>
        <TokenField />
        <fieldset>
          <legend>Sources</legend>
          {enabled.map((name) => (
            <label key={name} className="check">
              <input type="checkbox" checked={!excluded.has(name)} onChange={() => toggle(name)} />
              {name}
            </label>
          ))}
        </fieldset>
        <label
          className="check"
          title="Ignore checkpoints, and read data that a source reports as unchanged"
        >
          <input
            type="checkbox"
            checked={full}
            onChange={(event) => setFull(event.target.checked)}
          />
          Full refresh
        </label>
        <button type="submit" className="primary" disabled={busy || selected.length === 0}>
          {busy ? "Requesting …" : "Run now"}
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
      setError(new Error("Enter the scheduler token. `kasparro token` prints it."));
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

// Masked text instead of a password field, because browsers offer to save passwords.
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

/** Request another run of a source. */
export function RunAgain({ source }: { source: string }) {
  const hasToken = useStore(token) !== "";
  const [isOpen, setOpen] = useState(false);
  const { submit, busy, error } = useTrigger(() => trigger([source], false));
  const requestId = useStore(lastRequest);
  const [isRequested, setRequested] = useState(false);
  return (
    <form
      className="again"
      onSubmit={(event) => {
        if (!hasToken && !isOpen) {
          event.preventDefault();
          setOpen(true);
          return;
        }
        setRequested(true);
        submit(event);
      }}
    >
      {isOpen && <TokenField />}
      <button type="submit" className={isOpen ? "primary" : ""} disabled={busy}>
        {busy ? "Requesting …" : `Run ${source} again`}
      </button>
      {error !== null && <Problem error={error} />}
      {isRequested && error === null && requestId !== null && (
        <Progress key={requestId} id={requestId} />
      )}
    </form>
  );
}

const ASK_AGAIN_MS = 2_000;

const REQUEST_STATUS = {
  PENDING: "is waiting for an ingestor",
  RUNNING: "is running",
  DONE: "is done",
};

function Progress({ id }: { id: string }) {
  const { data, reload } = useQuery(RequestProgress, { id });
  const found = data?.node?.__typename === "EtlRequest" ? data.node : null;
  const isDone = found?.status === "DONE";
  // Each update of a run reloads the request. A timer does so before the first run starts.
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
        <strong>{id.replace("_", " ")}</strong> {REQUEST_STATUS[found.status]}; asked{" "}
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
