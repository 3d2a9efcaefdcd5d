import type { RunStatus } from "./documents";

const BADGES: Record<RunStatus, { kind: string; label: string }> = {
  RUNNING: { kind: "busy", label: "Running" },
  SUCCESS: { kind: "good", label: "Success" },
  PARTIAL: { kind: "caution", label: "Partial" },
  FAILURE: { kind: "bad", label: "Failure" },
  ABANDONED: { kind: "bad", label: "Abandoned" },
};

export const STATUSES = Object.entries(BADGES).map(
  ([status, { label }]) => [status as RunStatus, label] as const,
);

export function StatusBadge({ status }: { status: RunStatus }) {
  const { kind, label } = BADGES[status];
  return <span className={`badge ${kind}`}>{label}</span>;
}
