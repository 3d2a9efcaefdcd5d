// Search and filters; the address stores the selection.
import { useEffect, useRef, useState } from "react";
import { replaceSearch } from "../navigation/router";
import { useOverview } from "../overview/store";
import { Choice } from "../ui/choice";
import { SearchIcon } from "../ui/icons";
import { SUSPECT } from "../ui/suspect";
import type { CoinOrder, CoinOrderField } from "./documents";
import { CAPS, SORTS, sortedBy } from "./view";

const TYPING_MS = 150;

export function Toolbar({ search, order }: { search: URLSearchParams; order: CoinOrder }) {
  const { sources } = useOverview();
  return (
    <div className="toolbar" role="search">
      <SearchBox given={search.get("q") ?? ""} />
      <Choice
        label="Source"
        name="source"
        value={search.get("source")}
        options={(sources ?? []).map(({ name }) => [name, name])}
        any="All sources"
      />
      <Choice
        label="Market cap"
        name="cap"
        value={search.get("cap")}
        options={Object.keys(CAPS).map((cap) => [cap, `≥ $${cap}`])}
        any="Any cap"
      />
      <Choice
        label="Change in 24 hours"
        name="change"
        value={search.get("change")}
        options={[
          ["up", "Gainers"],
          ["down", "Losers"],
        ]}
        any="Any change"
      />
      <Toggle
        name="disputed"
        label="Disputed"
        on={search.has("disputed")}
        hint="Has rivals for its ticker, or sources that disagree by more than 3 %"
      />
      <Toggle
        name="stale"
        label="Stale"
        on={search.has("stale")}
        hint="Older than three polls of its source"
      />
      <Toggle name="suspect" label="Suspect only" on={search.has("suspect")} hint={`${SUSPECT}.`} />
      <SortChoice order={order} />
    </div>
  );
}

function SearchBox({ given }: { given: string }) {
  const [text, setText] = useState(given);
  const input = useRef<HTMLInputElement>(null);
  const [previous, setPrevious] = useState(given);
  if (previous !== given) {
    setPrevious(given);
    setText(given);
  }
  useEffect(() => {
    if (text === given) return;
    const timer = setTimeout(() => replaceSearch({ q: text }), TYPING_MS);
    return () => clearTimeout(timer);
  }, [text, given]);
  useEffect(() => {
    const focus = (event: KeyboardEvent) => {
      const isTyping =
        event.target instanceof HTMLElement && event.target.closest("input, select, textarea");
      if (event.key !== "/" || isTyping || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      input.current?.focus();
    };
    document.addEventListener("keydown", focus);
    return () => document.removeEventListener("keydown", focus);
  }, []);
  return (
    <div className="search">
      <SearchIcon />
      <input
        ref={input}
        type="search"
        aria-label="Search tickers and names"
        aria-keyshortcuts="/"
        placeholder="Search ticker or name"
        value={text}
        onChange={(event) => setText(event.target.value)}
        autoComplete="off"
        spellCheck={false}
      />
      <kbd aria-hidden="true">/</kbd>
    </div>
  );
}

function Toggle({
  name,
  label,
  on,
  hint,
}: {
  name: string;
  label: string;
  on: boolean;
  hint: string;
}) {
  return (
    <button
      type="button"
      className="toggle"
      aria-pressed={on}
      title={hint}
      onClick={() => replaceSearch({ [name]: on ? null : "1" })}
    >
      {label}
    </button>
  );
}

/** The sort selection of a narrow screen, which has no column headers. */
function SortChoice({ order }: { order: CoinOrder }) {
  const directions = order.direction === "ASC" ? "↑" : "↓";
  return (
    <div className="sort-choice">
      <select
        aria-label="Sort by"
        value={order.field}
        onChange={(event) => replaceSearch(sortedBy(order, event.target.value as CoinOrderField))}
      >
        {Object.entries(SORTS).map(([field, label]) => (
          <option key={field} value={field}>
            {label}
          </option>
        ))}
      </select>
      <button
        type="button"
        aria-label={order.direction === "ASC" ? "Ascending; reverse" : "Descending; reverse"}
        onClick={() => replaceSearch(sortedBy(order, order.field))}
      >
        {directions}
      </button>
    </div>
  );
}
