// The asset that a coin is about: its key, names, tickers and contracts, and how far the record is
// believed.
import { type ReactNode, useState } from "react";
import { Link, paths } from "../navigation/router";
import { day, exactTime } from "../format/time";
import { Address } from "../ui/address";
import { CopyButton } from "../ui/copy";
import { Fact } from "../ui/facts";
import type { Asset } from "./documents";
import { type AssetTicker, tickersOf } from "./identity";

// A stablecoin has contracts on dozens of chains.
const SHOWN_ADDRESSES = 6;

const CONFIDENCE =
  "From 0 to 1. It rises with each source that confirms the price, and with a known contract " +
  "address. It is halved while the price is suspect, and while another asset has nearly as good " +
  "evidence for the ticker.";

interface AssetCardProps {
  asset: Asset;
  /** The ticker of the page. */
  ticker: string;
  confidence: number | null;
}

export function AssetCard({ asset, ticker, confidence }: AssetCardProps) {
  const { key, names, formerTickers, addresses } = asset;
  const tickers = tickersOf(asset, ticker);
  return (
    <section className="card" aria-labelledby="asset">
      <div className="card-head">
        <h2 id="asset">Asset</h2>
      </div>
      <dl className="asset">
        {confidence !== null && (
          <Fact label={<span id="confidence">Confidence</span>}>
            <span className="strong">{confidence.toFixed(2)}</span>
            <p className="faint">{CONFIDENCE}</p>
          </Fact>
        )}
        <Fact label="Key">
          <code>{key}</code>
        </Fact>
        {names.length > 0 && <Several label="Name">{names}</Several>}
        {tickers.length > 0 && (
          <Several label="Ticker">
            {tickers.map((one) => (
              <Ticker key={one.ticker} of={one} isHere={one.ticker === ticker} />
            ))}
          </Several>
        )}
        {formerTickers.length > 0 && (
          <Several label="Former ticker">
            {formerTickers.map((former) => (
              <Former key={former.ticker} {...former} />
            ))}
          </Several>
        )}
        {addresses.length > 0 && (
          <Fact label={addresses.length === 1 ? "Address" : "Addresses"}>
            <Addresses addresses={addresses} />
          </Fact>
        )}
      </dl>
    </section>
  );
}

function Several({ label, children }: { label: string; children: readonly ReactNode[] }) {
  return (
    <Fact label={children.length === 1 ? label : `${label}s`}>
      <ul className="several">
        {children.map((child, index) => (
          <li key={index}>{child}</li>
        ))}
      </ul>
    </Fact>
  );
}

function Ticker({
  of: { ticker, isCurrent, isOwned },
  isHere,
}: {
  of: AssetTicker;
  isHere: boolean;
}) {
  return (
    <>
      {isHere ? (
        <span className="strong" aria-current="page">
          {ticker}
        </span>
      ) : isOwned ? (
        <Link href={paths.coin(ticker)}>{ticker}</Link>
      ) : (
        ticker
      )}
      {isCurrent && <span className="badge good">Current</span>}
      {!isOwned && <span className="faint">owned by another asset</span>}
    </>
  );
}

function Former({ ticker, until }: { ticker: string; until: string }) {
  return (
    <>
      {ticker}{" "}
      <span className="faint">
        until{" "}
        <time dateTime={until} title={exactTime(until)}>
          {day(until)}
        </time>
      </span>
    </>
  );
}

function Addresses({ addresses }: { addresses: Asset["addresses"] }) {
  const [isWhole, setIsWhole] = useState(false);
  const shown = isWhole ? addresses : addresses.slice(0, SHOWN_ADDRESSES);
  return (
    <>
      <ul className="addresses">
        {shown.map(({ chain, address, sources }) => (
          <li key={`${chain} ${address}`}>
            <span>{chain}</span>
            <Address address={address} />
            <CopyButton text={address} what={`the address on ${chain}`} />
            <span className="faint">{sources.join(", ")}</span>
          </li>
        ))}
      </ul>
      {addresses.length > SHOWN_ADDRESSES && (
        <button
          type="button"
          className="link"
          aria-expanded={isWhole}
          onClick={() => setIsWhole(!isWhole)}
        >
          {isWhole ? "Show fewer addresses" : `Show all ${addresses.length} addresses`}
        </button>
      )}
    </>
  );
}
