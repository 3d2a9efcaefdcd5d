// All known coins by ticker. A row follows only its own ticker, so an update of five hundred coins
// renders the visible rows only.
import { useCallback, useSyncExternalStore } from "react";
import type { Coin } from "./documents";

type Listener = () => void;

export class CoinStore {
  readonly #coins = new Map<string, Coin>();
  readonly #listeners = new Map<string, Set<Listener>>();
  readonly #anyListeners = new Set<Listener>();
  #waiting = new Map<string, Coin>();
  #scheduled = false;

  /** `schedule` delays the updates to the next frame. */
  constructor(private readonly schedule: (flush: () => void) => void) {}

  get(ticker: string): Coin | undefined {
    return this.#coins.get(ticker);
  }

  tickers(): string[] {
    return [...this.#coins.keys()];
  }

  subscribe(ticker: string, listener: Listener): () => void {
    let listeners = this.#listeners.get(ticker);
    if (!listeners) this.#listeners.set(ticker, (listeners = new Set()));
    listeners.add(listener);
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0) this.#listeners.delete(ticker);
    };
  }

  /** Call `listener` once for each flush with changes. */
  subscribeAny(listener: Listener): () => void {
    this.#anyListeners.add(listener);
    return () => this.#anyListeners.delete(listener);
  }

  /** Store requested coins immediately. */
  put(coins: readonly Coin[]): void {
    this.#apply(coins.filter((coin) => this.#isNewer(coin)));
  }

  /** Store changed coins with the next frame, but only known ones. */
  update(coins: readonly Coin[]): void {
    for (const coin of coins) {
      if (this.#coins.has(coin.ticker)) this.#waiting.set(coin.ticker, coin);
    }
    if (this.#waiting.size === 0 || this.#scheduled) return;
    this.#scheduled = true;
    this.schedule(() => {
      this.#scheduled = false;
      const waiting = this.#waiting;
      this.#waiting = new Map();
      this.put([...waiting.values()]);
    });
  }

  // A response may arrive after a newer message.
  #isNewer(coin: Coin): boolean {
    const known = this.#coins.get(coin.ticker);
    return !known || coin.ingestedAt >= known.ingestedAt;
  }

  #apply(coins: readonly Coin[]): void {
    if (coins.length === 0) return;
    for (const coin of coins) this.#coins.set(coin.ticker, coin);
    for (const coin of coins) {
      for (const listener of this.#listeners.get(coin.ticker) ?? []) listener();
    }
    for (const listener of this.#anyListeners) listener();
  }
}

export const coinStore = new CoinStore((flush) => {
  // A hidden tab has no frames, but its title and state must stay current.
  if (document.visibilityState === "hidden") setTimeout(flush, 1_000);
  else requestAnimationFrame(flush);
});

/** Follow the coin of a ticker; undefined until it is known. */
export function useCoin(ticker: string): Coin | undefined {
  const subscribe = useCallback(
    (listener: () => void) => coinStore.subscribe(ticker, listener),
    [ticker],
  );
  return useSyncExternalStore(subscribe, () => coinStore.get(ticker));
}
