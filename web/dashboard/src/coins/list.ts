// A list of coins with one filter and one order, read page by page.
import { request } from "../api/request";
import { Store } from "../api/store";
import { type CoinFilter, CoinCount, type CoinOrder, CoinPage } from "./documents";
import { coinStore } from "./store";

export interface ListState {
  tickers: readonly string[];
  /** The number of coins on all pages; null until it is known. */
  total: number | null;
  hasMore: boolean;
  loading: boolean;
  error: unknown;
}

// The user waits for the first page, so it is short. The others are read in advance.
const FIRST_PAGE = 60;
const NEXT_PAGE = 250;

export class CoinList {
  readonly state = new Store<ListState>({
    tickers: [],
    total: null,
    hasMore: true,
    loading: false,
    error: null,
  });
  /** The scroll position in pixels, restored when the user comes back. */
  offset = 0;
  #cursor: string | null = null;
  #known = new Set<string>();
  #aborter = new AbortController();

  constructor(
    readonly filter: CoinFilter,
    readonly order: CoinOrder,
  ) {}

  /** Read the next page, unless a request is pending or this page is the last. */
  async loadMore(): Promise<void> {
    const { loading, hasMore } = this.state.get();
    if (loading || !hasMore) return;
    await this.#read(this.#cursor, this.#cursor === null ? FIRST_PAGE : NEXT_PAGE);
  }

  /** Read again from the first page, in the current order; the rows stay until the response. */
  async reload(): Promise<void> {
    this.#aborter.abort();
    this.#aborter = new AbortController();
    this.offset = 0;
    await this.#read(
      null,
      Math.min(NEXT_PAGE, Math.max(FIRST_PAGE, this.state.get().tickers.length)),
    );
  }

  saveOffset(offset: number): void {
    this.offset = offset;
  }

  close(): void {
    this.#aborter.abort();
  }

  async #read(after: string | null, first: number): Promise<void> {
    const { signal } = this.#aborter;
    this.state.patch({ loading: true, error: null });
    try {
      if (after === null) void this.#count(signal);
      const { coins } = await request(
        CoinPage,
        { filter: this.filter, orderBy: this.order, first, after },
        { signal },
      );
      coinStore.put(coins.nodes);
      if (after === null) this.#known.clear();
      // A coin that moved between two requests can be on both pages.
      const fresh = coins.nodes
        .map((coin) => coin.ticker)
        .filter((ticker) => !this.#known.has(ticker));
      for (const ticker of fresh) this.#known.add(ticker);
      this.#cursor = coins.pageInfo.endCursor;
      const before = after === null ? [] : this.state.get().tickers;
      this.state.patch({
        tickers: [...before, ...fresh],
        hasMore: coins.pageInfo.hasNextPage,
        loading: false,
      });
    } catch (error) {
      if (!signal.aborted) this.state.patch({ loading: false, error });
    }
  }

  async #count(signal: AbortSignal): Promise<void> {
    try {
      const { coins } = await request(CoinCount, { filter: this.filter }, { signal });
      this.state.patch({ total: coins.totalCount });
    } catch {
      // The page request reports the error. The table works without a count.
    }
  }
}
