// Warnings above every page: no connection, a newer version, missed updates, stale sources.
import { type ReactNode, useEffect } from "react";
import { isOutdated, checkBuild } from "../api/build";
import { connection, reconnect } from "../api/socket";
import { useStore } from "../api/store";
import { missedUpdates } from "../coins/live";
import { whole } from "../format/number";
import { clockTime } from "../format/time";
import type { Source } from "../overview/documents";
import { healthProblem } from "../overview/health";
import { useOverview } from "../overview/store";
import { AlertIcon } from "../ui/icons";
import { Link, paths } from "../navigation/router";

export function Banner() {
  return (
    <div className="banners" role="status">
      <Offline />
      <Outdated />
      <MissedUpdates />
      <Stale />
    </div>
  );
}

function Line({ kind, children }: { kind: "bad" | "caution"; children: ReactNode }) {
  return (
    <p className={`banner ${kind}`}>
      <AlertIcon />
      <span>{children}</span>
    </p>
  );
}

function Offline() {
  const { phase, since, epoch } = useStore(connection);
  if (phase !== "offline") return null;
  return (
    <Line kind="bad">
      <strong>Offline.</strong>{" "}
      {epoch > 0
        ? `No connection since ${clockTime(since)}. The values shown are from that time.`
        : "The live connection failed."}{" "}
      The page reconnects automatically.{" "}
      <button type="button" className="link" onClick={reconnect}>
        Try now
      </button>
    </Line>
  );
}

function Outdated() {
  const { epoch } = useStore(connection);
  // After a reconnect the server may have another version.
  useEffect(() => {
    if (epoch > 1) void checkBuild();
  }, [epoch]);
  if (!useStore(isOutdated)) return null;
  return (
    <Line kind="caution">
      <strong>Updated.</strong> A newer version of this page is available. The next click on a link
      loads it.{" "}
      <button type="button" className="link" onClick={() => location.reload()}>
        Load it now
      </button>
    </Line>
  );
}

function MissedUpdates() {
  const lagged = useStore(missedUpdates);
  if (lagged === 0) return null;
  return (
    <Line kind="caution">
      <strong>Behind.</strong> {whole(lagged)} {lagged === 1 ? "update was" : "updates were"} left
      out because this page was too slow; reading them again.
    </Line>
  );
}

function Stale() {
  const { sources } = useOverview();
  const unhealthy = (sources ?? []).flatMap((source: Source) => {
    const problem = healthProblem(source);
    return problem && source.enabled ? [{ source, problem }] : [];
  });
  if (unhealthy.length === 0) return null;
  return (
    <Line kind="caution">
      <strong>Stale or incomplete.</strong>{" "}
      {unhealthy.map(({ source, problem }) => `${source.name}: ${problem}`).join("; ")}.{" "}
      <Link href={paths.sources}>Sources</Link>
    </Line>
  );
}
