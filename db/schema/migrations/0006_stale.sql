-- When a coin's record becomes stale: three polls of its source after it was observed. The merge keeps it, and so does
-- whoever changes how often a source is polled.
ALTER TABLE normalized_records ADD COLUMN stale_at timestamptz NOT NULL DEFAULT '-infinity';
UPDATE normalized_records AS n SET stale_at = n.created_at + s.poll_seconds * interval '3 seconds'
FROM sources AS s WHERE s.name = n.source;

-- No index of its own, which would be one more to write for every coin of every poll: this one is written anyway where a
-- cap has moved, and the fresh coins and the stale ones are told apart in it without a look at their rows.
DROP INDEX normalized_records_by_market_cap;
CREATE INDEX normalized_records_by_market_cap
    ON normalized_records (market_cap_usd DESC NULLS LAST, ticker, stale_at);
