// The overview: statistics and the table of coins.
import { useEffect, useMemo, useSyncExternalStore } from "react";
import { connection } from "../api/socket";
import { useStore } from "../api/store";
import { useSearch } from "../navigation/router";
import { whole } from "../format/number";
import { useOverview } from "../overview/store";
import { Empty, Problem, Waiting } from "../ui/notes";
import { Ago } from "../ui/values";
import { CoinList } from "./list";
import { isOutOfOrder } from "./order";
import { coinStore } from "./store";
import { Table } from "./table";
import { Toolbar } from "./toolbar";
import { viewOf } from "./view";

// The list stays in memory, so that the table is unchanged when the user comes back from a coin.
let current: { key: string; list: CoinList } | undefined;

function listFor(search: URLSearchParams): CoinList {
  const view = viewOf(search);
  const key = JSON.stringify(view);
  if (current?.key !== key) {
    current?.list.close();
    current = { key, list: new CoinList(view.filter, view.order) };
  }
  return current.list;
}

/** Request the first page before the first render. */
export function prefetchCoins(): void {
  void listFor(new URLSearchParams(location.search)).loadMore();
}

export function CoinsPage() {
  const search = useSearch();
  const text = search.toString();
  const list = useMemo(() => listFor(new URLSearchParams(text)), [text]);
  const state = useStore(list.state);
  useEffect(() => void list.loadMore(), [list]);
  const { epoch } = useStore(connection);
  useEffect(() => {
    // After a reconnect, retry a page that failed, and reload an empty list.
    const { error, tickers, loading } = list.state.get();
    if (epoch > 1 && !loading && (error !== null || tickers.length === 0)) void list.reload();
  }, [epoch, list]);

  const { tickers, error, loading } = state;
  const isFiltered = Object.keys(list.filter).length > 0;
  return (
    <div className="coins page">
      <h1 className="visually-hidden">Coins</h1>
      <Figures />
      <Toolbar search={search} order={list.order} />
      <div className="under-toolbar">
        <Count shown={state.total} isFiltered={isFiltered} />
        <SortAgain list={list} />
      </div>
      {error !== null && <Problem error={error} retry={() => void list.reload()} />}
      {tickers.length > 0 ? (
        <Table list={list} state={state} />
      ) : loading ? (
        <Waiting rows={14} label="Loading coins" />
      ) : (
        error === null && <NoCoins isFiltered={isFiltered} />
      )}
    </div>
  );
}

function NoCoins({ isFiltered }: { isFiltered: boolean }) {
  if (isFiltered)
    return (
      <Empty title="No matches">
        <p>Change the search or remove a filter.</p>
      </Empty>
    );
  return (
    <Empty title="No coins yet">
      <p>Coins appear here after the first run has stored some.</p>
    </Empty>
  );
}

function Count({ shown, isFiltered }: { shown: number | null; isFiltered: boolean }) {
  return (
    <p className="faint count" aria-live="polite">
      {shown === null
        ? " "
        : `${whole(shown)} ${shown === 1 ? "coin" : "coins"}${isFiltered ? " found" : ""}`}
    </p>
  );
}

/** Rows keep their positions while values change, so that none moves under the pointer. */
function SortAgain({ list }: { list: CoinList }) {
  const moved = useSyncExternalStore(
    (listener) => coinStore.subscribeAny(listener),
    () =>
      isOutOfOrder(
        list.state.get().tickers.map((ticker) => coinStore.get(ticker)),
        list.order,
      ),
  );
  if (!moved) return null;
  return (
    <button type="button" className="quiet" onClick={() => void list.reload()}>
      Values have changed: sort again
    </button>
  );
}

function Figures() {
  const { stats, sources } = useOverview();
  const failing = (sources ?? []).filter(
    ({ health, enabled }) => enabled && (health === "DOWN" || health === "DEGRADED"),
  );
  return (
    <dl className="figures">
      <div>
        <dt>Coins</dt>
        <dd>{stats ? whole(stats.totalNormalized) : "…"}</dd>
      </div>
      <div>
        <dt>Listings</dt>
        <dd>{stats ? whole(stats.totalListings) : "…"}</dd>
      </div>
      <div>
        <dt>Healthy sources</dt>
        <dd className={failing.length > 0 ? "warn" : ""}>
          {sources ? `${sources.length - failing.length} of ${sources.length}` : "…"}
        </dd>
      </div>
      <div>
        <dt>Last successful run</dt>
        <dd>
          {stats ? (
            stats.lastSuccess ? (
              <Ago instant={stats.lastSuccess.finishedAt} />
            ) : (
              "none yet"
            )
          ) : (
            "…"
          )}
        </dd>
      </div>
    </dl>
  );
}
