// Sends a GraphQL operation over HTTP.
import { print } from "@0no-co/graphql.web";
import { recordServerTime } from "./clock";
import type { TadaDocumentNode } from "./graphql";
import { ROOT } from "./root";

/** The server could not be reached, or the connection was lost. */
export class UnreachableError extends Error {
  override name = "UnreachableError";
}

/** The server responded with an error; `code` is GraphQL's `extensions.code`, if present. */
export class RefusedError extends Error {
  override name = "RefusedError";
  constructor(
    message: string,
    readonly code: string | undefined,
  ) {
    super(message);
  }
}

interface Answer {
  data?: unknown;
  errors?: { message: string; extensions?: { code?: string } }[];
  detail?: unknown;
}

interface Options {
  signal?: AbortSignal | undefined;
  /** The scheduler token, for a mutation that needs it. */
  token?: string | undefined;
}

const TIMEOUT_MS = 20_000;

/** Throws UnreachableError, RefusedError, and the abort reason of `signal`. */
export async function request<Result, Variables>(
  document: TadaDocumentNode<Result, Variables>,
  variables: Variables,
  options: Options = {},
): Promise<Result> {
  const text = await requestText(document, variables, options);
  return read(text) as Result;
}

/** Return the response as text, because JSON.parse would round long numbers. */
export async function requestText<Result, Variables>(
  document: TadaDocumentNode<Result, Variables>,
  variables: Variables,
  { signal, token }: Options = {},
): Promise<string> {
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  try {
    const response = await fetch(`${ROOT}/graphql`, {
      method: "POST",
      headers: {
        "Content-Type": "application/json",
        Accept: "application/graphql-response+json, application/json",
        ...(token === undefined ? {} : { "X-Scheduler-Token": token }),
      },
      body: JSON.stringify({ query: print(document), variables }),
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
    });
    recordServerTime(response.headers.get("Date"));
    return await response.text();
  } catch (error) {
    signal?.throwIfAborted();
    throw new UnreachableError(
      timeout.aborted ? "The server did not respond in time." : "The server cannot be reached.",
      {
        cause: error,
      },
    );
  }
}

/** The data of a response. Throws RefusedError. */
export function read(text: string): unknown {
  let answer: Answer;
  try {
    answer = JSON.parse(text) as Answer;
  } catch {
    throw new RefusedError("The server's response is not JSON.", undefined);
  }
  const first = answer.errors?.[0];
  if (first) throw new RefusedError(first.message, first.extensions?.code);
  if (!answer.data) {
    const { detail } = answer;
    const message = typeof detail === "string" ? detail : "The server responded without data.";
    throw new RefusedError(message, undefined);
  }
  return answer.data;
}

/** The message of anything that was thrown, as a sentence. */
export function errorMessage(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return /[.!?]$/.test(text) ? text : `${text}.`;
}
