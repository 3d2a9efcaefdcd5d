// The server's clock: the page computes ages with it, not with the browser's clock.
let offset = 0;
let known = false;

/** Set the clock by a response's Date header, which has whole seconds. */
export function recordServerTime(header: string | null): void {
  const time = header === null ? Number.NaN : Date.parse(header);
  if (Number.isNaN(time)) return;
  const difference = time + 500 - Date.now();
  // The header is rounded to seconds, so a smaller difference means nothing.
  if (!known || Math.abs(difference - offset) > 2_000)
    offset = Math.abs(difference) < 2_000 ? 0 : difference;
  known = true;
}

/** The server's time in milliseconds since 1970. */
export function serverNow(): number {
  return Date.now() + offset;
}
