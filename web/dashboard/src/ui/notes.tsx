// Placeholders for errors, empty results and loading data.
import type { ReactNode } from "react";
import { errorMessage, UnreachableError } from "../api/request";
import { AlertIcon } from "./icons";

/** An error, with a button to try again. */
export function Problem({ error, retry }: { error: unknown; retry?: () => void }) {
  return (
    <div className="note problem" role="alert">
      <AlertIcon />
      <p>
        {errorMessage(error)}
        {error instanceof UnreachableError && " The values shown may be out of date."}
      </p>
      {retry && (
        <button type="button" onClick={retry}>
          Try again
        </button>
      )}
    </div>
  );
}

/** An empty result and its reason; `isPage` if the page has no other content. */
export function Empty({
  title,
  isPage,
  children,
}: {
  title: string;
  isPage?: boolean;
  children?: ReactNode;
}) {
  const Heading = isPage ? "h1" : "h2";
  return (
    <div className="note empty">
      <Heading>{title}</Heading>
      {children}
    </div>
  );
}

/** Grey bars while data is loading. */
export function Waiting({ rows = 6, label = "Loading" }: { rows?: number; label?: string }) {
  return (
    <div className="waiting" role="status">
      <span className="visually-hidden">{label}</span>
      {Array.from({ length: rows }, (_, index) => (
        <span key={index} className="bar" />
      ))}
    </div>
  );
}
