// The one websocket of the page, what state it is in, and subscriptions that go on where they broke off.
import { print } from "@0no-co/graphql.web";
import { createClient } from "graphql-ws";
import type { TadaDocumentNode } from "./graphql";
import { type Ending, type Follower, resume } from "./resume";
import { ROOT } from "./root";
import { Store } from "./store";

export interface Connection {
  phase: "connecting" | "live" | "offline";
  /** When the page was last live, or was loaded; milliseconds. */
  since: number;
  /** How often it came to be live: whoever shows what was fetched once reads it again when this moves. */
  epoch: number;
}

export const connection = new Store<Connection>({
  phase: "connecting",
  since: Date.now(),
  epoch: 0,
});

const PING_MS = 10_000;
const PONG_MS = 5_000;
// A server that restarts is back within this time; a banner would only flicker.
const GRACE_MS = 1_500;
const LONGEST_WAIT_MS = 8_000;

let silence: ReturnType<typeof setTimeout> | undefined;
let grace: ReturnType<typeof setTimeout> | undefined;

const client = createClient({
  url: () => `${location.protocol === "https:" ? "wss:" : "ws:"}//${location.host}${ROOT}/graphql`,
  retryAttempts: 0,
  keepAlive: PING_MS,
  on: {
    connected: () => {
      clearTimeout(grace);
      grace = undefined;
      connection.set({ phase: "live", since: Date.now(), epoch: connection.get().epoch + 1 });
    },
    closed: () => {
      clearTimeout(silence);
      lost();
    },
    error: lost,
    ping: (received) => {
      if (!received) silence = setTimeout(() => client.terminate(), PONG_MS);
    },
    pong: (received) => {
      if (received) clearTimeout(silence);
    },
  },
});

function lost(): void {
  const { phase } = connection.get();
  if (phase === "live") connection.patch({ phase: "connecting", since: Date.now() });
  if (phase !== "offline")
    grace ??= setTimeout(() => connection.patch({ phase: "offline" }), GRACE_MS);
}

const waiting = new Set<() => void>();

/** Try again now, whatever wait is under way. */
export function reconnect(): void {
  for (const wake of [...waiting]) wake();
}

window.addEventListener("online", reconnect);
window.addEventListener("offline", () => client.terminate());
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible") reconnect();
});

function pause(attempt: number): Promise<void> {
  const longest = Math.min(LONGEST_WAIT_MS, 250 * 2 ** attempt);
  return new Promise((resolve) => {
    const wake = () => {
      clearTimeout(timer);
      waiting.delete(wake);
      resolve();
    };
    // Jitter: a thousand pages must not come back in one moment.
    const timer = setTimeout(wake, longest * (0.5 + Math.random() / 2));
    waiting.add(wake);
  });
}

function subscribeOnce<Result, Variables extends Record<string, unknown>>(
  document: TadaDocumentNode<Result, Variables>,
  variables: Variables,
  onMessage: (message: Result) => void,
): Promise<Ending> {
  return new Promise((resolve) => {
    client.subscribe<Result>(
      { query: print(document), variables },
      {
        next: ({ data }) => {
          if (data) onMessage(data);
        },
        complete: () => resolve("broken"),
        error: (error) => resolve(isRefusal(error) ? "refused" : "broken"),
      },
    );
  });
}

function isRefusal(error: unknown): boolean {
  return (
    Array.isArray(error) &&
    error.some(
      (one: { extensions?: { code?: unknown } }) => one.extensions?.code === "BAD_USER_INPUT",
    )
  );
}

/** Follow a subscription, resuming it from its `after`. */
export function follow<Result, Variables extends { after?: string | null }>(
  document: TadaDocumentNode<Result, Variables>,
  follower: Follower<Result>,
): void {
  const subscribe = (after: string | null, onMessage: (message: Result) => void) =>
    subscribeOnce(document, { after } as Variables, onMessage);
  void resume({ subscribe, onceStanding, pause }, follower);
}

// The protocol does not acknowledge a subscription: a moment after the connection stands, so does it.
const STANDING_MS = 400;

function onceStanding(action: () => void): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const look = () => {
    if (connection.get().phase !== "live") return;
    stop();
    timer = setTimeout(action, STANDING_MS);
  };
  const stop = connection.subscribe(look);
  look();
  return () => {
    stop();
    clearTimeout(timer);
  };
}
