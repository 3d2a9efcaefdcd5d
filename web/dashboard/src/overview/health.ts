// Why a source is not healthy, in words.
import type { Source } from "./documents";

/** A phrase, or null for a source that is healthy or was never polled. */
export function trouble({ health, consecutiveFailures, lastRun }: Source): string | null {
  if (health === "OK" || health === "UNKNOWN") return null;
  if (consecutiveFailures > 0) {
    return `${consecutiveFailures} ${consecutiveFailures === 1 ? "failure" : "consecutive failures"}${lastRun?.message ? ` (${lastRun.message.replace(/\.$/, "")})` : ""}`;
  }
  if (lastRun?.status === "PARTIAL")
    return `${lastRun.failed} ${lastRun.failed === 1 ? "record" : "records"} of the last run could not be read`;
  return "no run has finished within three polls";
}
