// Values as they stand in tables and cards.
import { useMemo } from "react";
import { compact, exact, percent, showPrice } from "../format/number";
import { ago, exactTime } from "../format/time";
import { useNow } from "./now";

/** A price that can be read at any size; a listener hears the decimal itself. */
export function Price({ value, significant }: { value: string | null; significant?: number }) {
  if (value === null) return <Nothing />;
  const { lead, zeros, digits } = showPrice(value, significant);
  if (zeros === 0) return <>{lead}</>;
  return (
    <>
      <span aria-hidden="true">
        {lead}
        <sub className="zeros">{zeros}</sub>
        {digits}
      </span>
      <span className="unseen">{value}</span>
    </>
  );
}

/** Dollars in short: $1.70T. */
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

/** A dash for the eye, a word for the ear. */
export function Nothing() {
  return (
    <span className="faint">
      <span aria-hidden="true">–</span>
      <span className="unseen">unknown</span>
    </span>
  );
}

/** How long ago, by the second. */
export function Ago({ instant }: { instant: string | null }) {
  const time = instant === null ? Number.NaN : Date.parse(instant);
  const text = useNow((now) => (Number.isNaN(time) ? "" : ago(time, now)));
  // It draws every second, but is another instant only now and then.
  const title = useMemo(() => (instant === null ? "" : exactTime(instant)), [instant]);
  if (instant === null) return <Nothing />;
  return (
    <time dateTime={instant} title={title}>
      {text}
    </time>
  );
}
