-- Two times of a payload: when its page was fetched, and when it arrived here, which is the order of the commits.

-- Null in rows from before: their ingested_at is when the page was fetched. To fill them in would rewrite every payload.
ALTER TABLE raw_api_records ADD COLUMN fetched_at timestamptz;
ALTER TABLE raw_csv_records ADD COLUMN fetched_at timestamptz;

-- The newest arrival. Moved on under the write lock, by the database's clock, and never backwards: whichever ingestor
-- writes and however a clock is set, a payload that is committed later has arrived later.
CREATE TABLE raw_clock (
    only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    at       timestamptz NOT NULL
);
INSERT INTO raw_clock (at)
SELECT greatest('-infinity', max(ingested_at))
FROM (SELECT ingested_at FROM raw_api_records UNION ALL SELECT ingested_at FROM raw_csv_records) AS payload;

-- Which code read a source's payloads that arrived from then on: what this very code has read, it need not rebuild.
CREATE TABLE raw_readers (
    source       text NOT NULL,
    arrived_from timestamptz NOT NULL,
    code         bytea NOT NULL,
    PRIMARY KEY (source, arrived_from)
);

-- The scratch of an interrupted rebuild is another code's, and worth nothing to this one.
DROP TABLE reprocess_job, reprocess_progress, reprocess_versions, reprocess_listings, reprocess_needed,
    reprocess_rewritten, reprocess_coins, reprocess_owned, reprocess_points, reprocess_touched;

-- The work under way, if any. All of these tables are scratch and unlogged together: after a crash of the server
-- they are empty together, and the rebuild starts anew; after a kill of the program they tell where it was.
CREATE UNLOGGED TABLE reprocess_job (
    only_one   boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    sources    text[] NOT NULL,
    since      timestamptz,
    -- The digest of the code that normalises: rows staged by another are worth nothing.
    code       bytea NOT NULL,
    started_at timestamptz NOT NULL
);

CREATE UNLOGGED TABLE reprocess_progress (
    source    text PRIMARY KEY,
    -- False: read only for the history of coins that it shares with a rebuilt source.
    rebuilt   boolean NOT NULL,
    -- The arrival up to which payloads are read, or being read while it is not complete.
    read_to   timestamptz NOT NULL,
    complete  boolean NOT NULL DEFAULT false,
    total     bigint NOT NULL DEFAULT 0,
    processed bigint NOT NULL DEFAULT 0,
    failed    bigint NOT NULL DEFAULT 0,
    changed   bigint NOT NULL DEFAULT 0
);

-- Each payload as it reads now: what history needs of it, or why it cannot be read.
CREATE UNLOGGED TABLE reprocess_versions (
    source         text NOT NULL,
    external_id    text NOT NULL,
    ingested_at    timestamptz NOT NULL,
    content_hash   bytea NOT NULL,
    fetched_at     timestamptz NOT NULL,
    ticker         text,
    observed_at    timestamptz,
    price_usd      numeric,
    market_cap_usd numeric,
    volume_24h_usd numeric,
    error          text,
    -- The rejected record that it was read from, for one that was in no raw table.
    rejection_id   bigint,
    PRIMARY KEY (source, external_id, ingested_at, content_hash),
    CHECK ((error IS NULL) = (ticker IS NOT NULL)),
    CHECK ((error IS NULL) = (observed_at IS NOT NULL))
);

-- The greatest version of each listing, with all its columns.
CREATE UNLOGGED TABLE reprocess_listings (
    source             text NOT NULL,
    external_id        text NOT NULL,
    ticker             text NOT NULL,
    symbol             text NOT NULL,
    name               text,
    name_words         text NOT NULL,
    core_words         text NOT NULL,
    rank               integer,
    price_usd          numeric,
    market_cap_usd     numeric,
    volume_24h_usd     numeric,
    percent_change_24h numeric,
    circulating_supply numeric,
    total_supply       numeric,
    max_supply         numeric,
    observed_at        timestamptz NOT NULL,
    fetched_at         timestamptz NOT NULL,
    content_hash       bytea NOT NULL,
    PRIMARY KEY (source, external_id)
);

-- The listings of other sources that share a ticker with a rebuilt one.
CREATE UNLOGGED TABLE reprocess_needed (
    source      text NOT NULL,
    external_id text NOT NULL,
    PRIMARY KEY (source, external_id)
);

-- What follows is filled and emptied within the one transaction that puts the rebuild in place.
CREATE UNLOGGED TABLE reprocess_rewritten (
    source      text NOT NULL,
    external_id text NOT NULL,
    old_ticker  text,
    PRIMARY KEY (source, external_id)
);
CREATE UNLOGGED TABLE reprocess_coins (
    ticker text PRIMARY KEY,
    record jsonb
);
-- Which listings contributed before: a ticker that changes hands here takes its past along.
CREATE UNLOGGED TABLE reprocess_owned (
    source      text NOT NULL,
    external_id text NOT NULL,
    PRIMARY KEY (source, external_id)
);
-- Who is to contribute to which coin, by what was read before the write lock was taken.
CREATE UNLOGGED TABLE reprocess_foreseen (
    source      text NOT NULL,
    external_id text NOT NULL,
    ticker      text NOT NULL,
    PRIMARY KEY (source, external_id)
);
-- What each coin said last by then: what arrives later is held against it.
CREATE UNLOGGED TABLE reprocess_last (
    ticker         text PRIMARY KEY,
    at             timestamptz NOT NULL,
    price_usd      numeric NOT NULL,
    market_cap_usd numeric,
    volume_24h_usd numeric,
    source         text NOT NULL
);
CREATE UNLOGGED TABLE reprocess_points (
    ticker         text NOT NULL,
    at             timestamptz NOT NULL,
    price_usd      numeric NOT NULL,
    market_cap_usd numeric,
    volume_24h_usd numeric,
    source         text NOT NULL,
    -- Whether it may be added where it is missing: the payloads of its time are all there.
    covered        boolean NOT NULL,
    PRIMARY KEY (ticker, at)
);
-- Points that are to be added (no old price), removed (no price) or mended.
CREATE UNLOGGED TABLE reprocess_point_changes (
    ticker             text NOT NULL,
    at                 timestamptz NOT NULL,
    old_price_usd      numeric,
    old_market_cap_usd numeric,
    old_volume_24h_usd numeric,
    old_source         text,
    price_usd          numeric,
    market_cap_usd     numeric,
    volume_24h_usd     numeric,
    source             text,
    PRIMARY KEY (ticker, at),
    CHECK ((price_usd IS NULL) = (source IS NULL)),
    CHECK ((old_price_usd IS NULL) = (old_source IS NULL)),
    CHECK (num_nonnulls(price_usd, old_price_usd) > 0)
);
-- Candles over changed points, still to be rolled up anew.
CREATE UNLOGGED TABLE reprocess_buckets (
    ticker   text NOT NULL,
    interval text NOT NULL,
    start    timestamptz NOT NULL,
    ends_at  timestamptz NOT NULL,
    PRIMARY KEY (ticker, interval, start)
);
-- Candles that are to be added (nothing old), removed (nothing new) or changed.
CREATE UNLOGGED TABLE reprocess_candle_changes (
    ticker       text NOT NULL,
    interval     text NOT NULL,
    start        timestamptz NOT NULL,
    old_open     numeric,
    old_high     numeric,
    old_low      numeric,
    old_close    numeric,
    old_open_at  timestamptz,
    old_close_at timestamptz,
    old_samples  integer,
    open         numeric,
    high         numeric,
    low          numeric,
    close        numeric,
    open_at      timestamptz,
    close_at     timestamptz,
    samples      integer,
    PRIMARY KEY (ticker, interval, start),
    CHECK (num_nonnulls(samples, old_samples) > 0)
);
