// The page of a coin: price history, values of each source, rivals for its ticker, raw payloads.
import { useEffect, useRef } from "react";
import { useQuery } from "../api/query";
import { Link, paths } from "../navigation/router";
import type { Coin } from "../coins/documents";
import { coinStore, useCoin } from "../coins/store";
import { exact, isRounded, spread } from "../format/number";
import { staleAfter, useOverview } from "../overview/store";
import { BackIcon } from "../ui/icons";
import { Fact } from "../ui/facts";
import { Empty, Problem, Waiting } from "../ui/notes";
import { useNow } from "../ui/now";
import { SUSPECT } from "../ui/suspect";
import { Ago, Change, Money, Nothing, Price } from "../ui/values";
import { AssetCard } from "./asset";
import { Comparison } from "./comparison";
import { CoinDetail, type Detail } from "./documents";
import { NotBelieved } from "./excluded";
import { History } from "./history";
import { listingsOf } from "./identity";
import { Payloads } from "./payloads";
import { Rivals } from "./rivals";

// Several commits may change a coin in a short time.
const SETTLE_MS = 500;
const WIDE_SPREAD = 3;

export default function CoinPage({ ticker }: { ticker: string }) {
  const { data, error, reload } = useQuery(CoinDetail, { ticker });
  const coin = useCoin(ticker);
  const detail = data?.coin ?? null;
  useEffect(() => {
    if (detail) coinStore.put([detail]);
  }, [detail]);
  useReloadOnChange(coin?.ingestedAt, detail?.ingestedAt, reload);

  const shown = coin ?? detail;
  return (
    <div className="page wide">
      <Link className="back" href={paths.coins} onClick={goBack}>
        <BackIcon /> Coins
      </Link>
      {error !== null && <Problem error={error} retry={reload} />}
      {shown ? (
        <>
          <CoinHead
            coin={shown}
            rivals={detail?.rivals.length ?? 0}
            excluded={detail?.excluded.length ?? 0}
            confidence={detail?.confidence ?? null}
          />
          <History ticker={ticker} savedAt={shown.ingestedAt} />
          {detail ? (
            <SourceDetails detail={detail} spreadPercent={shown.priceSpreadPercent} />
          ) : (
            <Waiting rows={5} />
          )}
        </>
      ) : data ? (
        <Empty isPage title={`No coin has the ticker ${ticker}`}>
          <p>
            <Link href={`${paths.coins}?q=${encodeURIComponent(ticker)}`}>Search for it</Link>
          </p>
        </Empty>
      ) : (
        error === null && <Waiting rows={8} label={`Loading ${ticker}`} />
      )}
    </div>
  );
}

/** Read the listings again when the coin has changed. */
function useReloadOnChange(
  live: string | undefined,
  read: string | undefined,
  reload: () => void,
): void {
  const asked = useRef<string>(undefined);
  useEffect(() => {
    if (!live || !read || live <= read || asked.current === live) return;
    const timer = setTimeout(() => {
      asked.current = live;
      reload();
    }, SETTLE_MS);
    return () => clearTimeout(timer);
  }, [live, read, reload]);
}

/** Go back to the table with its search and scroll position, if the user came from there. */
function goBack(event: React.MouseEvent): void {
  if (!(history.state as { fromTable?: boolean } | null)?.fromTable) return;
  event.preventDefault();
  history.back();
}

function SourceDetails({
  detail,
  spreadPercent,
}: {
  detail: Detail;
  spreadPercent: number | null;
}) {
  const { ticker, asset, confidence, excluded, provenance, rivals } = detail;
  const listings = listingsOf(detail);
  return (
    <>
      {asset && <AssetCard asset={asset} ticker={ticker} confidence={confidence} />}
      <NotBelieved excluded={excluded} />
      <Comparison
        ticker={ticker}
        listings={listings}
        provenance={provenance}
        excluded={excluded}
        spreadPercent={spreadPercent}
      />
      <Rivals ticker={ticker} rivals={rivals} />
      <Payloads listings={[...listings, ...rivals]} />
    </>
  );
}

interface CoinHeadProps {
  coin: Coin;
  /** The numbers of rivals and of excluded values. */
  rivals: number;
  excluded: number;
  confidence: number | null;
}

function CoinHead({ coin, rivals, excluded, confidence }: CoinHeadProps) {
  const { priceUsdExact: price } = coin;
  return (
    <header className="coin-head">
      <div>
        <Title coin={coin} rivals={rivals} />
        <p className="coin-price">
          <strong>
            {price !== null && "$"}
            <Price value={price} />
          </strong>
          <Change value={coin.percentChange24h} />
          <span className="faint small">24h</span>
          {coin.isSuspect && <span className="badge caution">Suspect price</span>}
        </p>
        {price !== null && isRounded(price) && <p className="faint mono exact">${exact(price)}</p>}
        {coin.isSuspect && (
          <p className="warn suspect-why">
            {SUSPECT}. {excluded > 0 && <a href="#not-believed">See what is not believed</a>}
          </p>
        )}
      </div>
      <dl className="facts coin-facts">
        <Fact label="Market cap">
          <Money value={coin.marketCapUsd} />
        </Fact>
        <Fact label="Volume 24h">
          <Money value={coin.volume24hUsd} />
        </Fact>
        <Fact label="Spread">
          {coin.priceSpreadPercent === null ? <Nothing /> : spread(coin.priceSpreadPercent)}
        </Fact>
        <Fact label="Confidence">
          {confidence === null ? (
            <Nothing />
          ) : (
            <a href="#confidence" title="What this figure means">
              {confidence.toFixed(2)}
            </a>
          )}
        </Fact>
        <Fact label="Source">{coin.source}</Fact>
        <Fact label="Observed">
          <Ago instant={coin.createdAt} />
        </Fact>
        <Fact label="Saved">
          <Ago instant={coin.ingestedAt} />
        </Fact>
      </dl>
    </header>
  );
}

function Title({ coin, rivals }: { coin: Coin; rivals: number }) {
  const { sources } = useOverview();
  const limit = staleAfter(sources, coin.source);
  const stale = useNow((now) => now - Date.parse(coin.createdAt) > limit);
  const wide = coin.priceSpreadPercent;
  return (
    <div className="coin-title">
      <h1>{coin.ticker}</h1>
      <span className="coin-name">{coin.name}</span>
      {coin.rank !== null && <span className="badge">Rank {coin.rank}</span>}
      {stale && <span className="badge caution">Stale</span>}
      {wide !== null && wide > WIDE_SPREAD && (
        <span className="badge caution">Sources disagree by {spread(wide)}</span>
      )}
      {rivals > 0 && (
        <a className="badge" href="#rivals">
          {rivals} {rivals === 1 ? "rival" : "rivals"}
        </a>
      )}
    </div>
  );
}
