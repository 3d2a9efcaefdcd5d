// The raw payload of a listing, with every digit as sent.
import { useEffect, useState } from "react";
import { read, requestText } from "../api/request";
import { bytes } from "../format/number";
import { CopyButton } from "../ui/copy";
import { Problem, Waiting } from "../ui/notes";
import { type Listing, Payload } from "./documents";
import { layOut, valueAt } from "./json";

export function Payloads({ listings }: { listings: readonly Listing[] }) {
  const [chosen, setChosen] = useState(listings[0]?.id ?? "");
  const listing = listings.find(({ id }) => id === chosen) ?? listings[0];
  if (!listing) return null;
  return (
    <section className="card" aria-labelledby="payload">
      <div className="card-head">
        <h2 id="payload">Raw payload</h2>
        <select
          aria-label="Listing"
          value={listing.id}
          onChange={(event) => setChosen(event.target.value)}
        >
          {listings.map(({ id, source, externalId }) => (
            <option key={id} value={id}>
              {source} · {externalId}
            </option>
          ))}
        </select>
      </div>
      <PayloadText key={listing.id} listing={listing} />
    </section>
  );
}

interface Fetched {
  text: string | null;
  error: unknown;
}

function PayloadText({ listing: { source, externalId, observedAt } }: { listing: Listing }) {
  const [{ text, error }, setFetched] = useState<Fetched>({ text: null, error: null });
  useEffect(() => {
    const aborter = new AbortController();
    requestText(Payload, { source, externalId }, { signal: aborter.signal })
      .then((answer) => {
        read(answer);
        setFetched({
          text: layOut(valueAt(answer, ["data", "listing", "payload"]) ?? "null"),
          error: null,
        });
      })
      .catch((reason: unknown) => {
        if (!aborter.signal.aborted) setFetched((before) => ({ ...before, error: reason }));
      });
    return () => aborter.abort();
    // A newer observation has a newer payload.
  }, [source, externalId, observedAt]);
  if (text === null)
    return error === null ? (
      <Waiting rows={5} label="Loading the payload" />
    ) : (
      <Problem error={error} />
    );
  if (text === "null")
    return <p className="card-note faint">No payload is stored for this listing.</p>;
  return (
    <div className="payload">
      <div className="payload-head faint small">
        <span>
          {bytes(new TextEncoder().encode(text).length)}, every number exactly as the source sent it
        </span>
        <CopyButton text={text} what="the payload" />
      </div>
      <pre className="scroll tall" tabIndex={0} role="region" aria-label="Payload">
        {text}
      </pre>
    </div>
  );
}
