// A subscription that goes on where it broke off; how it is carried is another's business.

/** Broken: try again from the last cursor. Refused: the server cannot go on from it. */
export type Ending = "broken" | "refused";

export interface Carrier<Message> {
  /** Subscribe from a cursor on, until it ends. */
  subscribe: (after: string | null, onMessage: (message: Message) => void) => Promise<Ending>;
  /** Do something once a subscription that has just been asked for stands; returns how to leave it. */
  onceStanding: (action: () => void) => () => void;
  /** Wait before an attempt; 0 is the first after a message. */
  pause: (attempt: number) => Promise<void>;
}

export interface Follower<Message> {
  /** Take in a message and return its cursor. */
  onMessage: (message: Message) => string;
  /** Messages before this moment may be missing: read the present state. */
  onGap: () => void;
}

/**
 * Follow for as long as the page lives. Where there is no cursor to go on from, or the server no longer holds what came
 * after it, `onGap` is called once the new subscription stands.
 */
export async function resume<Message>(
  { subscribe, onceStanding, pause }: Carrier<Message>,
  { onMessage, onGap }: Follower<Message>,
): Promise<never> {
  let after = null as string | null;
  let attempt = 0;
  for (;;) {
    const leave = after === null ? onceStanding(onGap) : undefined;
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
