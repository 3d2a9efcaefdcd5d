// What a page says where there is nothing to show, not yet, or no longer.
import type { ReactNode } from "react";
import { sentence, UnreachableError } from "../api/request";
import { AlertIcon } from "./icons";

/** Something went wrong: what, and a way to try again. */
export function Problem({ error, retry }: { error: unknown; retry?: () => void }) {
  return (
    <div className="note problem" role="alert">
      <AlertIcon />
      <p>
        {sentence(error)}
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

/** There is nothing, and why; `isPage` where nothing else is on the page. */
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

/** Grey bars in place of what is on its way. */
export function Waiting({ rows = 6, label = "Loading" }: { rows?: number; label?: string }) {
  return (
    <div className="waiting" role="status">
      <span className="unseen">{label}</span>
      {Array.from({ length: rows }, (_, index) => (
        <span key={index} className="bar" />
      ))}
    </div>
  );
}
