// Formats times: ages, durations and instants.

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** A number of milliseconds in the largest unit: "12 s", "3 min", "5 h", "2 d". */
export function span(milliseconds: number): string {
  const length = Math.max(0, milliseconds);
  if (length < MINUTE) return `${Math.floor(length / SECOND)} s`;
  if (length < HOUR) return `${Math.floor(length / MINUTE)} min`;
  if (length < 2 * DAY) return `${Math.floor(length / HOUR)} h`;
  return `${Math.floor(length / DAY)} d`;
}

/** "now", "12 s ago", "3 min ago"; a future time is "in 12 s". */
export function ago(instant: number, now: number): string {
  if (instant > now + SECOND) return `in ${span(instant - now)}`;
  return now - instant < SECOND ? "now" : `${span(now - instant)} ago`;
}

/** How long something took: "14 ms", "1.27 s", "3 min 12 s". */
export function duration(milliseconds: number): string {
  if (milliseconds < SECOND) return `${Math.round(milliseconds)} ms`;
  if (milliseconds < MINUTE)
    return `${(milliseconds / SECOND).toFixed(milliseconds < 10 * SECOND ? 2 : 1)} s`;
  const minutes = Math.floor(milliseconds / MINUTE);
  if (milliseconds < HOUR)
    return `${minutes} min ${Math.floor((milliseconds % MINUTE) / SECOND)} s`;
  return `${Math.floor(milliseconds / HOUR)} h ${minutes % 60} min`;
}

/** A configured period: "10 s", "5 min", "1 h 30 min". */
export function period(seconds: number): string {
  const parts = [
    [Math.floor(seconds / 3600), "h"],
    [Math.floor((seconds % 3600) / 60), "min"],
    [seconds % 60, "s"],
  ] as const;
  return (
    parts.flatMap(([count, unit]) => (count > 0 ? [`${count} ${unit}`] : [])).join(" ") || "0 s"
  );
}

/** "2026-11-23 10:31:05 UTC". */
export function exactTime(instant: string | number): string {
  const text = new Date(instant).toISOString();
  return `${text.slice(0, 10)} ${text.slice(11, 19)} UTC`;
}

/** "2026-11-23", in UTC. */
export function day(instant: string): string {
  return exactTime(instant).slice(0, 10);
}

/** "10:31:05", in the browser's time zone. */
export function clockTime(instant: number): string {
  return new Date(instant).toLocaleTimeString("en-GB");
}
