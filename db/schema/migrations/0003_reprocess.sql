-- Reprocessing: what a rebuild from raw payloads has read so far, and which runs are one.

-- A rebuild is no reading of its source: the source's health and its orphaned runs are judged by ingest runs alone.
ALTER TABLE etl_runs ADD COLUMN kind text NOT NULL DEFAULT 'ingest' CHECK (kind IN ('ingest', 'reprocess'));

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
    -- Every payload there was at the start is staged; what came since is caught up with.
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
    ingested_at        timestamptz NOT NULL,
    content_hash       bytea NOT NULL,
    PRIMARY KEY (source, external_id)
);

-- The listings of other sources that share a ticker with a rebuilt one.
CREATE UNLOGGED TABLE reprocess_needed (
    source      text NOT NULL,
    external_id text NOT NULL,
    PRIMARY KEY (source, external_id)
);

-- Filled and emptied within the one transaction that puts the rebuild in place.
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
CREATE UNLOGGED TABLE reprocess_touched (
    ticker text NOT NULL,
    hour   timestamptz NOT NULL,
    PRIMARY KEY (ticker, hour)
);
