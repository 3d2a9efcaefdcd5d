// Other assets under the same ticker: the merged record does not use their values.
import type { ReactNode } from "react";
import { Ago, Change, Money, Nothing, Price } from "../ui/values";
import type { Listing } from "./documents";
import { ListingAddresses } from "./listing-addresses";

export function Rivals({ ticker, rivals }: { ticker: string; rivals: readonly Listing[] }) {
  return (
    <section className="card" aria-labelledby="rivals">
      <div className="card-head">
        <h2 id="rivals">Rivals for {ticker}</h2>
        {rivals.length > 0 && (
          <p className="faint small">
            Other assets with this ticker. The record above does not use their values.
          </p>
        )}
      </div>
      {rivals.length === 0 ? (
        <p className="card-note faint">No other asset uses this ticker.</p>
      ) : (
        <RivalTable rivals={rivals} />
      )}
    </section>
  );
}

interface Column {
  label: string;
  isNumber?: boolean;
  render: (rival: Listing) => ReactNode;
}

const COLUMNS: Column[] = [
  { label: "Source", render: ({ source }) => source },
  { label: "Provider id", render: ({ externalId }) => <code>{externalId}</code> },
  { label: "Price", isNumber: true, render: ({ priceUsd }) => <Price value={priceUsd} /> },
  {
    label: "24h",
    isNumber: true,
    render: ({ percentChange24h }) => <Change value={percentChange24h} />,
  },
  {
    label: "Market cap",
    isNumber: true,
    render: ({ marketCapUsd }) => <Money value={marketCapUsd} />,
  },
  { label: "Rank", isNumber: true, render: ({ rank }) => rank ?? <Nothing /> },
  { label: "Observed", isNumber: true, render: ({ observedAt }) => <Ago instant={observedAt} /> },
];

const ADDRESS: Column = {
  label: "Address",
  render: ({ addresses }) => <ListingAddresses addresses={addresses} />,
};

function RivalTable({ rivals }: { rivals: readonly Listing[] }) {
  const hasAddress = rivals.some(({ addresses }) => addresses.length > 0);
  const columns = hasAddress ? [...COLUMNS, ADDRESS] : COLUMNS;
  return (
    <div className="scroll" tabIndex={0} role="region" aria-label="Table of rivals">
      <table className="grid">
        <thead>
          <tr>
            <th scope="col">Name</th>
            {columns.map(({ label, isNumber }) => (
              <th key={label} scope="col" className={isNumber ? "number" : ""}>
                {label}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rivals.map((rival) => (
            <tr key={rival.id}>
              <th scope="row">{rival.name ?? <Nothing />}</th>
              {columns.map(({ label, isNumber, render }) => (
                <td key={label} className={isNumber ? "number" : ""}>
                  {render(rival)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
