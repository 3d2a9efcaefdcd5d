// Describes why a source is not healthy.
import type { Source } from "./documents";

/** The reason as a phrase; null if the source is healthy or was never polled. */
export function healthProblem({ health, consecutiveFailures, lastRun }: Source): string | null {
  if (health === "OK" || health === "UNKNOWN") return null;
  if (consecutiveFailures > 0) {
    const noun = consecutiveFailures === 1 ? "failure" : "consecutive failures";
    const reason = lastRun?.message ? ` (${lastRun.message.replace(/\.$/, "")})` : "";
    return `${consecutiveFailures} ${noun}${reason}`;
  }
  if (lastRun?.status === "PARTIAL") {
    const noun = lastRun.failed === 1 ? "record" : "records";
    return `${lastRun.failed} ${noun} of the last run could not be read`;
  }
  return "no run has finished within three polls";
}
