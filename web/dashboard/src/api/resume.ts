// Resumes a subscription after an interruption, over any transport.

/** Broken: resume from the last cursor. Refused: the server cannot resume from it. */
export type Ending = "broken" | "refused";

export interface Transport<Message> {
  /** Subscribe from a cursor, until the subscription ends. */
  subscribe: (after: string | null, onMessage: (message: Message) => void) => Promise<Ending>;
  /** Run `action` when the new subscription is active; returns a function that cancels it. */
  onceSubscribed: (action: () => void) => () => void;
  /** Wait before an attempt; attempt 0 is the first one after a message. */
  pause: (attempt: number) => Promise<void>;
}

export interface Follower<Message> {
  /** Handle a message and return its cursor. */
  onMessage: (message: Message) => string;
  /** Messages may be missing: read the current state. */
  onGap: () => void;
}

/**
 * Follow a subscription until the page is closed. Without a cursor, or if the server refuses it,
 * `onGap` is called as soon as the new subscription is active.
 */
export async function resume<Message>(
  { subscribe, onceSubscribed, pause }: Transport<Message>,
  { onMessage, onGap }: Follower<Message>,
): Promise<never> {
  let after = null as string | null;
  let attempt = 0;
  for (;;) {
    const leave = after === null ? onceSubscribed(onGap) : undefined;
    const ending: Ending = await subscribe(after, (message) => {
      attempt = 0;
      after = onMessage(message);
    });
    leave?.();
    if (ending === "refused") after = null;
    await pause(attempt);
    attempt += 1;
  }
}
