import { memo, type ReactNode, useCallback, useEffect, useRef, useSyncExternalStore } from "react";
import { Link, paths } from "../navigation/router";
import { spread } from "../format/number";
import { staleAfter, useOverview } from "../overview/store";
import { useNow } from "../ui/now";
import { SuspectMark } from "../ui/suspect";
import { Ago, Change, Money, Nothing, Price } from "../ui/values";
import type { Coin } from "./documents";
import { sparkPath, sparkStore } from "./sparks";
import { useCoin } from "./store";

/** The history state that lets a coin's page go back to the unchanged table. */
const FROM_TABLE = { fromTable: true };
const SPARK_WIDTH = 88;
const SPARK_HEIGHT = 22;
const WIDE_SPREAD = 3;

interface RowProps {
  ticker: string;
  index: number;
  top: number;
}

/** The row of a coin; it renders only when this coin changes. */
export const Row = memo(function Row({ ticker, index, top }: RowProps) {
  const coin = useCoin(ticker);
  if (!coin) return null;
  return (
    // The header is the first row.
    <div
      className="row"
      role="row"
      aria-rowindex={index + 2}
      style={{ transform: `translateY(${top}px)` }}
    >
      {cell("c-rank number faint", coin.rank ?? <Nothing />)}
      {cell(
        "c-ticker",
        <Link className="stretched" href={paths.coin(ticker)} state={FROM_TABLE} data-index={index}>
          {ticker}
        </Link>,
      )}
      {cell("c-name", coin.name ?? <Nothing />)}
      {cell(
        "c-price number",
        <>
          {coin.isSuspect && <SuspectMark />}
          <LivePrice value={coin.priceUsdExact} />
        </>,
      )}
      {cell("c-change number", <Change value={coin.percentChange24h} />)}
      {cell("c-spark", <Sparkline coin={coin} />)}
      {cell("c-cap number", <Money value={coin.marketCapUsd} />)}
      {cell("c-volume number", <Money value={coin.volume24hUsd} />)}
      {cell("c-spread number", <Spread value={coin.priceSpreadPercent} />)}
      {cell("c-source", coin.source)}
      {cell("c-observed number", <Age coin={coin} />)}
      {cell("c-saved number faint", <Ago instant={coin.ingestedAt} />)}
    </div>
  );
});

/** Not a component, because rows render with every event, and React would track 12 more each. */
function cell(className: string, content: ReactNode) {
  return (
    <span role="cell" className={className}>
      {content}
    </span>
  );
}

const reducedMotion = matchMedia("(prefers-reduced-motion: reduce)");

/** A price that flashes green or red when it changes. */
function LivePrice({ value }: { value: string | null }) {
  const element = useRef<HTMLSpanElement>(null);
  const shown = useRef(value);
  useEffect(() => {
    const before = shown.current;
    shown.current = value;
    if (before === null || value === null || before === value || reducedMotion.matches) return;
    const wash = Number(value) > Number(before) ? "var(--up-wash)" : "var(--down-wash)";
    element.current?.animate(
      { backgroundColor: [wash, "transparent"] },
      { duration: 1_200, easing: "ease-out" },
    );
  }, [value]);
  return (
    <span className="live-price" ref={element}>
      <Price value={value} />
    </span>
  );
}

function Sparkline({ coin }: { coin: Coin }) {
  const { ticker, createdAt, priceUsdExact } = coin;
  const subscribe = useCallback(
    (listener: () => void) => sparkStore.subscribe(ticker, listener),
    [ticker],
  );
  const spark = useSyncExternalStore(subscribe, () => sparkStore.get(ticker));
  useEffect(() => {
    if (priceUsdExact !== null)
      sparkStore.extend(ticker, Date.parse(createdAt), Number(priceUsdExact));
  }, [ticker, createdAt, priceUsdExact]);
  const path = spark && sparkPath(spark, SPARK_WIDTH, SPARK_HEIGHT);
  if (!spark || !path) return null;
  const rise = (spark.points.at(-1)?.[1] ?? 0) - (spark.points[0]?.[1] ?? 0);
  return (
    <svg
      className={rise > 0 ? "spark up" : rise < 0 ? "spark down" : "spark"}
      viewBox={`0 -1 ${SPARK_WIDTH} ${SPARK_HEIGHT + 2}`}
      width={SPARK_WIDTH}
      height={SPARK_HEIGHT}
      aria-hidden="true"
    >
      <path d={path} />
    </svg>
  );
}

function Spread({ value }: { value: number | null }) {
  if (value === null) return <Nothing />;
  return <span className={value > WIDE_SPREAD ? "warn strong" : "faint"}>{spread(value)}</span>;
}

/** The age of the observation; marked as stale if it is older than three polls. */
function Age({ coin }: { coin: Coin }) {
  const { sources } = useOverview();
  const limit = staleAfter(sources, coin.source);
  const stale = useNow((now) => now - Date.parse(coin.createdAt) > limit);
  return (
    <span className={stale ? "warn" : "faint"}>
      <Ago instant={coin.createdAt} />
      {stale && <span className="visually-hidden">, stale</span>}
    </span>
  );
}
