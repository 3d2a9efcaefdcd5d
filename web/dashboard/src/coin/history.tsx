// The price history of a coin as a chart or a table.
import { useEffect, useMemo, useRef, useState } from "react";
import { useStore } from "../api/store";
import { priceText, whole } from "../format/number";
import { exactTime } from "../format/time";
import { FitIcon, MinusIcon, PlusIcon } from "../ui/icons";
import { Problem } from "../ui/notes";
import { Segments } from "../ui/segments";
import { Price } from "../ui/values";
import { CandleFeed, type CandleState, INTERVALS } from "./candles";
import type { ChartHandle, Shape } from "./chart";
import { Chart } from "./chart-part";
import type { Candle, Interval } from "./documents";

type View = Shape | "table";

const VIEWS: [View, string][] = [
  ["candles", "Candles"],
  ["line", "Line"],
  ["table", "Table"],
];

// With few candles, a shorter interval shows more, until the user selects one.
const SHORTER: Partial<Record<Interval, Interval>> = { H1: "M15", M15: "M1" };
const MIN_CANDLES = 24;
const CHART_KEYS = "Arrow keys move, plus and minus zoom.";

interface HistoryProps {
  ticker: string;
  /** Changes whenever the coin changes. */
  savedAt: string;
}

/** The candles of a coin at the selected interval, or at one with enough candles. */
function useFeed({ ticker, savedAt }: HistoryProps) {
  const [interval, setInterval] = useState<Interval>("H1");
  const [isChosen, setChosen] = useState(false);
  const feed = useMemo(() => new CandleFeed(ticker, interval), [ticker, interval]);
  const state = useStore(feed.state);
  useEffect(() => void feed.refresh(), [feed, savedAt]);
  const shorter =
    !isChosen && state.loaded && state.candles.length < MIN_CANDLES ? SHORTER[interval] : undefined;
  if (shorter) setInterval(shorter);
  const choose = (next: Interval) => {
    setChosen(true);
    setInterval(next);
  };
  return { feed, state, choose };
}

export function History(props: HistoryProps) {
  const { ticker } = props;
  const { feed, state, choose } = useFeed(props);
  const [view, setView] = useState<View>("candles");
  const handle = useRef<ChartHandle>(null);
  return (
    <section className="card" aria-labelledby="history">
      <div className="card-head">
        <h2 id="history">Price</h2>
        <Segments
          label="Interval"
          options={Object.entries(INTERVALS).map(([key, { label, name }]) => [
            key as Interval,
            label,
            name,
          ])}
          value={feed.interval}
          onChange={choose}
        />
        <Segments label="Chart type" options={VIEWS} value={view} onChange={setView} />
        {view !== "table" && <ZoomButtons handle={handle} />}
      </div>
      {state.error !== null && <Problem error={state.error} retry={() => void feed.refresh()} />}
      <div className="chart-area">
        {view === "table" ? (
          <CandleTable candles={state.candles} />
        ) : (
          <Chart
            key={feed.interval}
            ref={handle}
            candles={state.candles}
            shape={view}
            label={summary(ticker, feed.interval, state)}
            onOlder={() => void feed.loadOlder()}
          />
        )}
        {state.loaded && state.candles.length === 0 && (
          <p className="chart-note faint">No price has changed in this time range.</p>
        )}
      </div>
      <p className="faint small chart-foot">
        Times are in UTC. An interval without a price change has no candle. Charts by{" "}
        <a href="https://www.tradingview.com/" rel="noreferrer">
          TradingView Lightweight Charts
        </a>
        .
      </p>
    </section>
  );
}

function ZoomButtons({ handle }: { handle: React.RefObject<ChartHandle | null> }) {
  return (
    <div className="zoom" role="group" aria-label="Zoom">
      <button
        type="button"
        className="icon-button"
        aria-label="Zoom in"
        onClick={() => handle.current?.zoom(0.6)}
      >
        <PlusIcon />
      </button>
      <button
        type="button"
        className="icon-button"
        aria-label="Zoom out"
        onClick={() => handle.current?.zoom(1.6)}
      >
        <MinusIcon />
      </button>
      <button
        type="button"
        className="icon-button"
        aria-label="Show all"
        onClick={() => handle.current?.fit()}
      >
        <FitIcon />
      </button>
    </div>
  );
}

/** The description of the chart for screen readers. */
function summary(ticker: string, interval: Interval, { candles }: CandleState): string {
  const first = candles[0];
  const last = candles.at(-1);
  const name = `Prices of ${ticker}, candles of ${INTERVALS[interval].name}`;
  if (!first || !last) return `${name}: none yet`;
  const range = `${candles.length} from ${exactTime(first.start)}`;
  return `${name}: ${range}, last ${priceText(last.close)} dollars. ${CHART_KEYS}`;
}

const TABLE_ROWS = 200;

function CandleTable({ candles }: { candles: readonly Candle[] }) {
  return (
    <div className="scroll tall" tabIndex={0} role="region" aria-label="Candles, newest first">
      <table className="grid">
        <thead>
          <tr>
            <th scope="col">Begins (UTC)</th>
            {["Open", "High", "Low", "Close", "Samples"].map((label) => (
              <th key={label} scope="col" className="number">
                {label}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {candles
            .slice(-TABLE_ROWS)
            .toReversed()
            .map((candle) => (
              <tr key={candle.start}>
                <th scope="row">{exactTime(candle.start).slice(0, 16)}</th>
                {[candle.open, candle.high, candle.low, candle.close].map((price, index) => (
                  <td key={index} className="number">
                    <Price value={price} />
                  </td>
                ))}
                <td className="number">{whole(candle.samples)}</td>
              </tr>
            ))}
        </tbody>
      </table>
    </div>
  );
}
