// The table. Only visible rows are in the document, and the next page is read in advance.
import { useVirtualizer } from "@tanstack/react-virtual";
import {
  type KeyboardEvent,
  useEffect,
  useLayoutEffect,
  useRef,
  useSyncExternalStore,
} from "react";
import { replaceSearch } from "../navigation/router";
import { whole } from "../format/number";
import { DownIcon, UpIcon } from "../ui/icons";
import type { CoinOrder, CoinOrderField } from "./documents";
import type { CoinList, ListState } from "./list";
import { Row } from "./row";
import { sortedBy } from "./view";

interface Column {
  name: string;
  label: string;
  sort?: CoinOrderField;
  number?: boolean;
  hint?: string;
}

const COLUMNS: Column[] = [
  { name: "rank", label: "#", number: true },
  { name: "ticker", label: "Ticker", sort: "TICKER" },
  { name: "name", label: "Name", sort: "NAME" },
  { name: "price", label: "Price", sort: "PRICE_USD", number: true },
  { name: "change", label: "24h", sort: "PERCENT_CHANGE_24H", number: true },
  {
    name: "spark",
    label: "Trend",
    hint: "The last 24 hours, or the last hour while there is less history",
  },
  { name: "cap", label: "Market cap", sort: "MARKET_CAP_USD", number: true },
  { name: "volume", label: "Volume 24h", sort: "VOLUME_24H_USD", number: true },
  { name: "spread", label: "Spread", number: true },
  { name: "source", label: "Source" },
  { name: "observed", label: "Observed", sort: "CREATED_AT", number: true },
  { name: "saved", label: "Saved", sort: "INGESTED_AT", number: true },
];

// The same as in the stylesheet: a phone shows a coin in two lines.
const NARROW = matchMedia("(max-width: 720px)");
const ROW_PX = 40;
const NARROW_ROW_PX = 56;

// Read the next page when fewer rows than this are left below.
const PREFETCH_ROWS = 120;

function onNarrow(listener: () => void): () => void {
  NARROW.addEventListener("change", listener);
  return () => NARROW.removeEventListener("change", listener);
}

interface TableProps {
  list: CoinList;
  state: ListState;
}

/** The visible rows of a table that scrolls inside an element. */
function useRows(
  scroller: React.RefObject<HTMLDivElement | null>,
  list: CoinList,
  tickers: readonly string[],
) {
  const rowHeight = useSyncExternalStore(onNarrow, () => (NARROW.matches ? NARROW_ROW_PX : ROW_PX));
  // eslint-disable-next-line react-hooks/incompatible-library -- React Compiler is not used
  const virtualizer = useVirtualizer({
    count: tickers.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => rowHeight,
    overscan: 10,
    getItemKey: (index) => tickers[index] ?? index,
    initialOffset: list.offset,
    useFlushSync: false,
  });
  useEffect(() => virtualizer.measure(), [virtualizer, rowHeight]);
  useLayoutEffect(() => {
    scroller.current?.scrollTo(0, list.offset);
  }, [scroller, list]);
  return virtualizer;
}

export function Table({ list, state }: TableProps) {
  const scroller = useRef<HTMLDivElement>(null);
  const { tickers, hasMore, loading, error, total } = state;
  const virtualizer = useRows(scroller, list, tickers);
  const items = virtualizer.getVirtualItems();
  const last = items.at(-1)?.index ?? 0;
  useEffect(() => {
    if (hasMore && !loading && !error && last > tickers.length - PREFETCH_ROWS)
      void list.loadMore();
  }, [list, hasMore, loading, error, last, tickers.length]);

  const focusRow = (index: number) => {
    virtualizer.scrollToIndex(index);
    requestAnimationFrame(() => {
      scroller.current
        ?.querySelector<HTMLElement>(`[data-index="${index}"]`)
        ?.focus({ preventScroll: true });
    });
  };
  return (
    <div
      className="scroller"
      ref={scroller}
      onScroll={(event) => list.saveOffset(event.currentTarget.scrollTop)}
    >
      <div
        className="table"
        role="table"
        aria-label="Coins"
        aria-rowcount={hasMore ? -1 : tickers.length + 1}
        aria-colcount={COLUMNS.length}
        aria-busy={loading}
        onKeyDown={(event) => moveFocus(event, tickers.length, focusRow)}
      >
        <Head order={list.order} />
        <div className="rows" role="rowgroup" style={{ height: virtualizer.getTotalSize() }}>
          {items.map(({ index, start, key }) => (
            <Row key={key} ticker={tickers[index] ?? ""} index={index} top={start} />
          ))}
        </div>
      </div>
      {hasMore && tickers.length > 0 && (
        <p className="faint more">
          {error
            ? ""
            : `${whole(tickers.length)} of ${total === null ? "more" : whole(total)} loaded …`}
        </p>
      )}
    </div>
  );
}

function Head({ order }: { order: CoinOrder }) {
  return (
    <div role="rowgroup" className="head">
      <div role="row" aria-rowindex={1} className="row">
        {COLUMNS.map(({ name, label, sort, number, hint }) => {
          const isSorted = sort !== undefined && sort === order.field;
          const direction = order.direction === "ASC" ? "ascending" : "descending";
          return (
            <span
              key={name}
              role="columnheader"
              title={hint}
              className={`c-${name}${number ? " number" : ""}`}
              {...(sort && { "aria-sort": isSorted ? direction : "none" })}
            >
              {sort ? (
                <button
                  type="button"
                  className={isSorted ? "sort sorted" : "sort"}
                  onClick={() => replaceSearch(sortedBy(order, sort))}
                >
                  {label}
                  {isSorted && (order.direction === "ASC" ? <UpIcon /> : <DownIcon />)}
                </button>
              ) : (
                label
              )}
            </span>
          );
        })}
      </div>
    </div>
  );
}

const PAGE_ROWS = 15;

/** Arrows, Page Up and Down, Home and End move between rows; Enter opens the link. */
function moveFocus(event: KeyboardEvent, count: number, focusRow: (index: number) => void): void {
  const at = (event.target as HTMLElement).dataset.index;
  if (at === undefined) return;
  const index = Number(at);
  const next = {
    ArrowDown: index + 1,
    ArrowUp: index - 1,
    PageDown: index + PAGE_ROWS,
    PageUp: index - PAGE_ROWS,
    Home: 0,
    End: count - 1,
  }[event.key];
  if (next === undefined) return;
  event.preventDefault();
  focusRow(Math.min(count - 1, Math.max(0, next)));
}
