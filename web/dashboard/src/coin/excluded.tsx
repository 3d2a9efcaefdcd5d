// Values of sources that the merged record leaves out, each with the reason.
import { compact, exact } from "../format/number";
import { Ago, Price } from "../ui/values";
import type { Excluded } from "./documents";

const REASONS: Record<Excluded["reason"], string> = {
  JUMP:
    "It is far from the last values of the same listing, and is held until a second poll or " +
    "another source confirms it.",
  DISAGREES: "The other fresh sources say otherwise: it differs from them by more than 1%.",
  IMPOSSIBLE: "No asset is worth that much.",
};

const FIELDS: Record<string, string> = { priceUsd: "Price", marketCapUsd: "Market cap" };

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
            <p className="faint">{REASONS[entry.reason]}</p>
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
      <span>{FIELDS[field] ?? field}</span>
      <span className="strong" title={`$${exact(value)}`}>
        ${field === "priceUsd" ? <Price value={value} /> : compact(value)}
      </span>
      <span className="faint">
        observed <Ago instant={observedAt} />
      </span>
    </p>
  );
}
