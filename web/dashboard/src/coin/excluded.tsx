// Values of sources that the merged record leaves out, each with the reason.
import { compact, exact } from "../format/number";
import { Ago, Price } from "../ui/values";
import type { Excluded } from "./documents";
import { labelOf, reasonOf } from "./reasons";

export function NotBelieved({ excluded }: { excluded: readonly Excluded[] }) {
  if (excluded.length === 0) return null;
  return (
    <section className="card" aria-labelledby="not-believed">
      <div className="card-head">
        <h2 id="not-believed">Not believed</h2>
        <p className="faint small">The merged record leaves these values out.</p>
      </div>
      <ul className="not-believed">
        {excluded.map((entry) => (
          <li key={`${entry.source} ${entry.externalId} ${entry.field}`}>
            <Value entry={entry} />
            <p className="faint">{reasonOf(entry)}</p>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Value({ entry: { source, externalId, field, value, observedAt } }: { entry: Excluded }) {
  return (
    <p className="left-out">
      <span>
        <span className="strong">{source}</span> <code>{externalId}</code>
      </span>
      <span>{labelOf(field)}</span>
      <span className="strong" title={`$${exact(value)}`}>
        ${field === "priceUsd" ? <Price value={value} /> : compact(value)}
      </span>
      <span className="faint">
        observed <Ago instant={observedAt} />
      </span>
    </p>
  );
}
