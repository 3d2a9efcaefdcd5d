// The server's time: ages are measured by its clock, not by the browser's.
let offset = 0;
let known = false;

/** Learn from an answer's Date header, which has whole seconds. */
export function recordServerTime(header: string | null): void {
  const time = header === null ? Number.NaN : Date.parse(header);
  if (Number.isNaN(time)) return;
  const difference = time + 500 - Date.now();
  // A second's difference is the header's coarseness.
  if (!known || Math.abs(difference - offset) > 2_000)
    offset = Math.abs(difference) < 2_000 ? 0 : difference;
  known = true;
}

/** The server's time in milliseconds since 1970. */
export function serverNow(): number {
  return Date.now() + offset;
}
