// Formatted values for tables and cards.
import { useMemo } from "react";
import { compact, exact, percent, priceParts } from "../format/number";
import { ago, exactTime } from "../format/time";
import { useNow } from "./now";

/** A price of any size; screen readers get the exact decimal. */
export function Price({ value, significant }: { value: string | null; significant?: number }) {
  if (value === null) return <Nothing />;
  const { lead, zeros, digits } = priceParts(value, significant);
  if (zeros === 0) return <>{lead}</>;
  return (
    <>
      <span aria-hidden="true">
        {lead}
        <sub className="zeros">{zeros}</sub>
        {digits}
      </span>
      <span className="visually-hidden">{value}</span>
    </>
  );
}

/** A short amount in dollars: $1.70T. */
export function Money({ value }: { value: string | null }) {
  if (value === null) return <Nothing />;
  return <span title={`$${exact(value)}`}>${compact(value)}</span>;
}

export function Change({ value }: { value: number | null }) {
  if (value === null) return <Nothing />;
  const text = percent(value);
  const direction = text === "0.00%" ? "" : value > 0 ? "up" : "down";
  return <span className={direction}>{text}</span>;
}

/** A missing value: a dash, and a word for screen readers. */
export function Nothing() {
  return (
    <span className="faint">
      <span aria-hidden="true">–</span>
      <span className="visually-hidden">unknown</span>
    </span>
  );
}

/** The age of an instant, updated every second. */
export function Ago({ instant }: { instant: string | null }) {
  const time = instant === null ? Number.NaN : Date.parse(instant);
  const text = useNow((now) => (Number.isNaN(time) ? "" : ago(time, now)));
  // The text changes every second, the title only with the instant.
  const title = useMemo(() => (instant === null ? "" : exactTime(instant)), [instant]);
  if (instant === null) return <Nothing />;
  return (
    <time dateTime={instant} title={title}>
      {text}
    </time>
  );
}
