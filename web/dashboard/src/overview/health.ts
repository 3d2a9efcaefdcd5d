// Why a source is not well, in words.
import type { Source } from "./documents";

/** A phrase, or null for a source that is well or was never asked. */
export function trouble({ health, consecutiveFailures, lastRun }: Source): string | null {
  if (health === "OK" || health === "UNKNOWN") return null;
  if (consecutiveFailures > 0) {
    return `${consecutiveFailures} ${consecutiveFailures === 1 ? "failure" : "failures in a row"}${lastRun?.message ? ` (${lastRun.message.replace(/\.$/, "")})` : ""}`;
  }
  if (lastRun?.status === "PARTIAL")
    return `${lastRun.failed} ${lastRun.failed === 1 ? "record" : "records"} of the last run could not be read`;
  return "no run has ended for longer than three polls";
}
