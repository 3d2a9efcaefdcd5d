import { useState } from "react";

const CONFIRMED_MS = 1_500;

/** Copies a text; `what` names it for screen readers. It needs a secure context, as browsers do. */
export function CopyButton({ text, what }: { text: string; what?: string }) {
  const [copied, setCopied] = useState(false);
  const copy = () => {
    void navigator.clipboard.writeText(text).then(() => {
      setCopied(true);
      setTimeout(() => setCopied(false), CONFIRMED_MS);
    });
  };
  if (!isSecureContext) return null;
  return (
    <button type="button" className="link" onClick={copy}>
      <span aria-live="polite">{copied ? "Copied" : "Copy"}</span>
      {what && <span className="visually-hidden"> {what}</span>}
    </button>
  );
}
