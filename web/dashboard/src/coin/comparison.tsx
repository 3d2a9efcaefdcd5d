// The values of each source side by side, and which of them the merged record uses.
import type { ReactNode } from "react";
import { exactTime } from "../format/time";
import { compact, exact, percent, spread, whole } from "../format/number";
import { AlertIcon } from "../ui/icons";
import { Ago, Change, Nothing, Price } from "../ui/values";
import type { Excluded, Listing, Provenance } from "./documents";
import { ListingAddresses } from "./listing-addresses";
import { distance, heldPrices, type PriceStats, priceStatsOf } from "./price-stats";

interface ComparisonProps {
  /** The ticker of the coin. */
  ticker: string;
  listings: readonly Listing[];
  provenance: Provenance;
  excluded: readonly Excluded[];
  spreadPercent: number | null;
}

interface Line {
  label: string;
  /** The field of the merged record, if there is one. */
  field?: string;
  render: (listing: Listing, stats: PriceStats) => ReactNode;
}

// Sources often agree in the first five digits.
const DIGITS = 8;

const ADDRESS: Line = {
  label: "Address",
  render: ({ addresses }) => <ListingAddresses addresses={addresses} />,
};

const LINES: Line[] = [
  {
    label: "Price",
    field: "priceUsd",
    render: ({ priceUsd }) => (
      <span className="strong">
        <Price value={priceUsd} significant={DIGITS} />
      </span>
    ),
  },
  {
    label: "Deviation from median",
    render: (listing, stats) => <FromMedian listing={listing} stats={stats} />,
  },
  {
    label: "24h",
    field: "percentChange24h",
    render: ({ percentChange24h }) => <Change value={percentChange24h} />,
  },
  {
    label: "Market cap",
    field: "marketCapUsd",
    render: ({ marketCapUsd }) => <Dollars value={marketCapUsd} />,
  },
  {
    label: "Volume 24h",
    field: "volume24hUsd",
    render: ({ volume24hUsd }) => <Dollars value={volume24hUsd} />,
  },
  {
    label: "Rank",
    field: "rank",
    render: ({ rank }) => (rank === null ? <Nothing /> : whole(rank)),
  },
  {
    label: "Circulating supply",
    render: ({ circulatingSupply }) => <Units value={circulatingSupply} />,
  },
  { label: "Total supply", render: ({ totalSupply }) => <Units value={totalSupply} /> },
  { label: "Max supply", render: ({ maxSupply }) => <Units value={maxSupply} /> },
  { label: "Name", field: "name", render: ({ name }) => name ?? <Nothing /> },
  { label: "Original symbol", render: ({ symbol }) => <code>{symbol}</code> },
  { label: "Provider id", render: ({ externalId }) => <code>{externalId}</code> },
  ADDRESS,
  { label: "Observed", render: ({ observedAt }) => <Ago instant={observedAt} /> },
  { label: "First seen", render: ({ firstSeenAt }) => <Ago instant={firstSeenAt} /> },
  { label: "Last seen", render: ({ lastSeenAt }) => <Ago instant={lastSeenAt} /> },
  {
    label: "Still listed",
    render: (listing) => <StillListed listing={listing} />,
  },
];

export function Comparison(props: ComparisonProps) {
  const { ticker, listings, provenance, excluded, spreadPercent } = props;
  const stats = priceStatsOf(listings, heldPrices(excluded));
  const hasAddress = listings.some(({ addresses }) => addresses.length > 0);
  return (
    <section className="card" aria-labelledby="sources">
      <div className="card-head">
        <h2 id="sources">Sources side by side</h2>
        <p className="faint small">
          <span className="used-mark" aria-hidden="true" /> marks the values that the merged record
          uses
          {excluded.length > 0 && (
            <>
              , and{" "}
              <span className="left-out-mark">
                <AlertIcon />
              </span>
              those that it leaves out
            </>
          )}
        </p>
      </div>
      <PriceRange listings={listings} stats={stats} spreadPercent={spreadPercent} />
      <div className="scroll" tabIndex={0} role="region" aria-label="Table of the sources">
        <table className="grid compare">
          <thead>
            <tr>
              <td />
              {listings.map((listing) => (
                <th key={listing.id} scope="col" className="number">
                  {listing.source}{" "}
                  {listing.ticker !== ticker && (
                    <span className="badge other-ticker" title={`Listed as ${listing.ticker}`}>
                      {listing.ticker}
                    </span>
                  )}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {LINES.filter((line) => line !== ADDRESS || hasAddress).map(
              ({ label, field, render }) => (
                <tr key={label}>
                  <th scope="row">{label}</th>
                  {listings.map((listing) => (
                    <td key={listing.id} className="number">
                      {isAbout(provenance, field, listing) && <UsedMark />}
                      {isAbout(excluded, field, listing) && <LeftOutMark />}
                      {render(listing, stats)}
                    </td>
                  ))}
                </tr>
              ),
            )}
          </tbody>
        </table>
      </div>
    </section>
  );
}

/** Whether one of the entries is about the field of a listing. */
function isAbout(
  entries: readonly Pick<Provenance[number], "field" | "source" | "externalId">[],
  field: string | undefined,
  { source, externalId }: Listing,
): boolean {
  return entries.some(
    (entry) => entry.field === field && entry.source === source && entry.externalId === externalId,
  );
}

function UsedMark() {
  return (
    <span className="used-mark" title="Used by the merged record">
      <span className="visually-hidden">used: </span>
    </span>
  );
}

function LeftOutMark() {
  return (
    <span className="left-out-mark" title="Not believed: the merged record leaves it out">
      <AlertIcon />
      <span className="visually-hidden">not believed: </span>
    </span>
  );
}

function StillListed({ listing: { active, missingSince } }: { listing: Listing }) {
  if (!active) return <span className="warn">no</span>;
  if (missingSince === null) return "yes";
  return (
    <span className="warn" title="The newest complete reading of the source missed it">
      missing since{" "}
      <time dateTime={missingSince} title={exactTime(missingSince)}>
        {exactTime(missingSince)}
      </time>
      , still counted until another sweep misses it too
    </span>
  );
}

function FromMedian({ listing, stats }: { listing: Listing; stats: PriceStats }) {
  if (listing.priceUsd === null || stats.median === null) return <Nothing />;
  if (stats.held.has(listing.id)) return <span className="faint">held, not counted</span>;
  if (!stats.fresh.has(listing.id)) return <span className="faint">stale, not counted</span>;
  return (
    <span className="faint">{percent(distance(Number(listing.priceUsd), stats.median), 3)}</span>
  );
}

function Dollars({ value }: { value: string | null }) {
  return value === null ? <Nothing /> : <span title={`$${exact(value)}`}>${compact(value)}</span>;
}

function Units({ value }: { value: string | null }) {
  return value === null ? <Nothing /> : <span title={exact(value)}>{compact(value)}</span>;
}

/** The fresh prices on a line from the lowest to the highest. */
function PriceRange({
  listings,
  stats,
  spreadPercent,
}: {
  listings: readonly Listing[];
  stats: PriceStats;
  spreadPercent: number | null;
}) {
  const { fresh, low, high } = stats;
  const counted = listings.filter(({ id }) => fresh.has(id));
  if (counted.length < 2) {
    return (
      <p className="strip-note faint">Only one source has a fresh price, so there is no spread.</p>
    );
  }
  const place = (price: number) => (high === low ? 50 : ((price - low) / (high - low)) * 100);
  return (
    <div className="strip">
      <div className="strip-ends">
        <span>
          <Price value={String(low)} significant={DIGITS} />
        </span>
        <span className="strong">
          {spreadPercent === null ? "" : `spread ${spread(spreadPercent)}`}
        </span>
        <span>
          <Price value={String(high)} significant={DIGITS} />
        </span>
      </div>
      <div className="strip-line" aria-hidden="true">
        {counted.map(({ id, priceUsd }) => (
          <span key={id} className="strip-dot" style={{ left: `${place(Number(priceUsd))}%` }} />
        ))}
      </div>
      <div className="strip-ends faint small">
        <span>
          {counted
            .filter(({ priceUsd }) => Number(priceUsd) === low)
            .map(({ source }) => source)
            .join(", ")}
        </span>
        <span>
          {counted
            .filter(({ priceUsd }) => Number(priceUsd) === high)
            .map(({ source }) => source)
            .join(", ")}
        </span>
      </div>
    </div>
  );
}
