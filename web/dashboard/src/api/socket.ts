// The websocket of the page, its state, and subscriptions that resume after an interruption.
import { print } from "@0no-co/graphql.web";
import { createClient } from "graphql-ws";
import type { TadaDocumentNode } from "./graphql";
import { type Ending, type Follower, resume } from "./resume";
import { ROOT } from "./root";
import { Store } from "./store";

export interface Connection {
  phase: "connecting" | "live" | "offline";
  /** The time when the page was last live, or was loaded, in milliseconds. */
  since: number;
  /** The number of connections so far. Components fetch their data again when it changes. */
  epoch: number;
}

export const connection = new Store<Connection>({
  phase: "connecting",
  since: Date.now(),
  epoch: 0,
});

const PING_MS = 10_000;
const PONG_MS = 5_000;
// A restart of the server takes less than this; a banner would only flicker.
const GRACE_MS = 1_500;
const LONGEST_WAIT_MS = 8_000;

let pongTimer: ReturnType<typeof setTimeout> | undefined;
let offlineTimer: ReturnType<typeof setTimeout> | undefined;

const client = createClient({
  url: () => `${location.protocol === "https:" ? "wss:" : "ws:"}//${location.host}${ROOT}/graphql`,
  retryAttempts: 0,
  keepAlive: PING_MS,
  on: {
    connected: () => {
      clearTimeout(offlineTimer);
      offlineTimer = undefined;
      connection.set({ phase: "live", since: Date.now(), epoch: connection.get().epoch + 1 });
    },
    closed: () => {
      clearTimeout(pongTimer);
      onConnectionLost();
    },
    error: onConnectionLost,
    ping: (received) => {
      if (!received) pongTimer = setTimeout(() => client.terminate(), PONG_MS);
    },
    pong: (received) => {
      if (received) clearTimeout(pongTimer);
    },
  },
});

function onConnectionLost(): void {
  const { phase } = connection.get();
  if (phase === "live") connection.patch({ phase: "connecting", since: Date.now() });
  if (phase !== "offline")
    offlineTimer ??= setTimeout(() => connection.patch({ phase: "offline" }), GRACE_MS);
}

const waiting = new Set<() => void>();

/** Reconnect now instead of waiting for the next attempt. */
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
    // Jitter: a thousand pages must not reconnect at the same time.
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

/** Follow a subscription, and resume it with its argument `after`. */
export function follow<Result, Variables extends { after?: string | null }>(
  document: TadaDocumentNode<Result, Variables>,
  follower: Follower<Result>,
): void {
  const subscribe = (after: string | null, onMessage: (message: Result) => void) =>
    subscribeOnce(document, { after } as Variables, onMessage);
  void resume({ subscribe, onceSubscribed, pause }, follower);
}

// The protocol does not acknowledge a subscription. It is active shortly after the connection is.
const SUBSCRIBED_MS = 400;

function onceSubscribed(action: () => void): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const look = () => {
    if (connection.get().phase !== "live") return;
    stop();
    timer = setTimeout(action, SUBSCRIBED_MS);
  };
  const stop = connection.subscribe(look);
  look();
  return () => {
    stop();
    clearTimeout(timer);
  };
}
