-- The main schema. Times are UTC, money is numeric; what may not be stands in CHECK constraints.
-- Column order follows alignment where it costs nothing in clarity.

-- What each source is and how it fares; written by the ingestor, read by the server.
CREATE TABLE sources (
    name                 text PRIMARY KEY CHECK (name ~ '^[a-z][a-z0-9-]{0,62}$'),
    kind                 text NOT NULL CHECK (kind IN ('api', 'file')),
    enabled              boolean NOT NULL,
    -- The order in which sources are asked for name and rank; smaller speaks first.
    priority             integer NOT NULL,
    poll_seconds         integer NOT NULL CHECK (poll_seconds > 0),
    consecutive_failures integer NOT NULL DEFAULT 0 CHECK (consecutive_failures >= 0),
    next_run_at          timestamptz
);

-- A trigger, durable: claimed by an ingestor whenever one looks.
CREATE TABLE etl_requests (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    status       text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'running', 'done')),
    sources      text[] NOT NULL CHECK (cardinality(sources) > 0),
    full_run     boolean NOT NULL DEFAULT false,
    requested_at timestamptz NOT NULL DEFAULT now(),
    finished_at  timestamptz,
    CHECK ((finished_at IS NOT NULL) = (status = 'done'))
);
CREATE INDEX etl_requests_open ON etl_requests (id) WHERE status <> 'done';

CREATE TABLE etl_runs (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source      text NOT NULL,
    status      text NOT NULL DEFAULT 'running'
                CHECK (status IN ('running', 'success', 'partial', 'failure', 'abandoned')),
    processed   integer NOT NULL DEFAULT 0 CHECK (processed >= 0),
    failed      integer NOT NULL DEFAULT 0 CHECK (failed BETWEEN 0 AND processed),
    changed     integer NOT NULL DEFAULT 0 CHECK (changed >= 0),
    unchanged   integer NOT NULL DEFAULT 0 CHECK (unchanged >= 0),
    pages       integer NOT NULL DEFAULT 0 CHECK (pages >= 0),
    started_at  timestamptz NOT NULL,
    finished_at timestamptz,
    message     text,
    request_id  bigint REFERENCES etl_requests (id),
    CHECK (failed + changed + unchanged = processed),
    CHECK ((finished_at IS NULL) = (status = 'running')),
    CHECK (finished_at >= started_at),
    CHECK (status <> 'failure' OR message IS NOT NULL)
);
CREATE INDEX etl_runs_by_source ON etl_runs (source, id DESC);
CREATE INDEX etl_runs_by_finish ON etl_runs (finished_at DESC NULLS LAST, id DESC);
CREATE INDEX etl_runs_of_request ON etl_runs (request_id) WHERE request_id IS NOT NULL;

CREATE TABLE etl_checkpoints (
    source           text PRIMARY KEY,
    last_id          text,
    last_timestamp   timestamptz,
    updated_at       timestamptz NOT NULL,
    -- Where the source goes on, in its own words; null: from the start.
    position         jsonb,
    -- A sweep is one complete reading of a source; these tell how far the one under way is.
    sweep_started_at timestamptz,
    sweep_dirty      boolean NOT NULL DEFAULT false,
    -- When the newest complete sweep began: whatever is active was seen then.
    last_sweep_at    timestamptz
);

-- Which external ids each page of a source's newest sweep held: what a sweep misses is found from here,
-- even where a kill split the sweep over several runs, and a page of the same coins writes nothing.
CREATE TABLE source_pages (
    source       text NOT NULL,
    page_group   text NOT NULL,
    number       integer NOT NULL CHECK (number >= 0),
    external_ids text[] NOT NULL,
    PRIMARY KEY (source, page_group, number)
);

-- What one source says now of one asset, every digit of it.
CREATE TABLE listings (
    source             text NOT NULL,
    external_id        text NOT NULL CHECK (external_id <> ''),
    ticker             text NOT NULL CHECK (ticker <> ''),
    symbol             text NOT NULL,
    name               text,
    -- The name's words, normalised, and the same without the generic ones: identity is decided on these.
    name_words         text NOT NULL,
    core_words         text NOT NULL,
    rank               integer CHECK (rank > 0),
    price_usd          numeric CHECK (price_usd > 0 AND price_usd < 'Infinity'),
    market_cap_usd     numeric CHECK (market_cap_usd > 0 AND market_cap_usd < 'Infinity'),
    volume_24h_usd     numeric CHECK (volume_24h_usd >= 0 AND volume_24h_usd < 'Infinity'),
    percent_change_24h numeric CHECK (percent_change_24h > '-Infinity' AND percent_change_24h < 'Infinity'),
    circulating_supply numeric CHECK (circulating_supply > 0 AND circulating_supply < 'Infinity'),
    total_supply       numeric CHECK (total_supply > 0 AND total_supply < 'Infinity'),
    max_supply         numeric CHECK (max_supply > 0 AND max_supply < 'Infinity'),
    observed_at        timestamptz NOT NULL,
    -- When the page that holds these values was fetched; it decides between payloads of one observation time.
    fetched_at         timestamptz NOT NULL,
    first_seen_at      timestamptz NOT NULL,
    last_seen_at       timestamptz NOT NULL,
    content_hash       bytea NOT NULL,
    active             boolean NOT NULL DEFAULT true,
    -- The first complete sweep that did not find it; null while it is found.
    missing_since      timestamptz,
    -- Belongs to the asset that owns the ticker; false for a rival's listing.
    contributes        boolean NOT NULL DEFAULT false,
    PRIMARY KEY (source, external_id)
) WITH (fillfactor = 80);
CREATE INDEX listings_by_ticker ON listings (ticker);
CREATE INDEX listings_missing ON listings (source) WHERE missing_since IS NOT NULL;

-- The explicit word on identity, from data/identity.csv.
CREATE TABLE identities (
    source      text NOT NULL,
    external_id text NOT NULL,
    asset       text NOT NULL CHECK (asset <> ''),
    PRIMARY KEY (source, external_id)
);

-- numeric round() rounds half away from zero; prices are rounded half to even.
CREATE FUNCTION round_half_even(amount numeric, places integer) RETURNS numeric
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN CASE
        WHEN abs(amount - trunc(amount, places)) * 2 = power(10::numeric, -places)
         AND mod(trunc(amount, places) * power(10::numeric, places), 2) = 0
        THEN trunc(amount, places)
        ELSE round(amount, places)
    END;

-- One merged record for each ticker: a pure function of the ticker's listings.
CREATE TABLE normalized_records (
    id                   text NOT NULL UNIQUE GENERATED ALWAYS AS ('merged_' || lower(ticker)) STORED,
    ticker               text PRIMARY KEY,
    name                 text,
    price_usd            numeric GENERATED ALWAYS AS (round_half_even(price_usd_exact, 8)) STORED,
    price_usd_exact      numeric CHECK (price_usd_exact > 0),
    market_cap_usd       numeric CHECK (market_cap_usd > 0),
    volume_24h_usd       numeric CHECK (volume_24h_usd >= 0),
    percent_change_24h   numeric,
    rank                 integer CHECK (rank > 0),
    source               text NOT NULL,
    -- When the source observed the values, and when the record was last saved.
    created_at           timestamptz NOT NULL,
    ingested_at          timestamptz NOT NULL,
    price_spread_percent double precision CHECK (price_spread_percent >= 0 AND price_spread_percent < 'Infinity'),
    rival_count          integer NOT NULL CHECK (rival_count >= 0),
    -- [{"field", "source", "external_id", "observed_at"}, ...]
    provenance           jsonb NOT NULL
) WITH (fillfactor = 80);
CREATE INDEX normalized_records_by_market_cap ON normalized_records (market_cap_usd DESC NULLS LAST, ticker);

-- Every distinct payload as it arrived. Append-only; partitions are made and dropped by the ingestor.
CREATE TABLE raw_api_records (
    source       text NOT NULL,
    external_id  text NOT NULL,
    payload      jsonb NOT NULL,
    ingested_at  timestamptz NOT NULL,
    run_id       bigint NOT NULL,
    content_hash bytea NOT NULL,
    PRIMARY KEY (source, external_id, ingested_at, content_hash)
) PARTITION BY RANGE (ingested_at);
CREATE TABLE raw_api_records_default PARTITION OF raw_api_records DEFAULT;

CREATE TABLE raw_csv_records (LIKE raw_api_records INCLUDING ALL) PARTITION BY RANGE (ingested_at);
CREATE TABLE raw_csv_records_default PARTITION OF raw_csv_records DEFAULT;

-- The history of merged coins.
CREATE TABLE price_points (
    ticker         text NOT NULL,
    at             timestamptz NOT NULL,
    price_usd      numeric NOT NULL CHECK (price_usd > 0),
    market_cap_usd numeric,
    volume_24h_usd numeric,
    source         text NOT NULL,
    PRIMARY KEY (ticker, at)
) PARTITION BY RANGE (at);
CREATE TABLE price_points_default PARTITION OF price_points DEFAULT;

-- A record that could not be read; its bytes are kept.
CREATE TABLE rejected_records (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id      bigint NOT NULL REFERENCES etl_runs (id) ON DELETE CASCADE,
    source      text NOT NULL,
    external_id text,
    error       text NOT NULL,
    payload     bytea NOT NULL,
    rejected_at timestamptz NOT NULL
);
CREATE INDEX rejected_records_of_run ON rejected_records (run_id, id);

-- The outbox that subscriptions resume from. seq is taken under the write lock, so it becomes visible in order.
CREATE TABLE events (
    seq         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind        text NOT NULL CHECK (kind IN ('run_started', 'run_progress', 'run_finished', 'coins_changed')),
    at          timestamptz NOT NULL,
    -- A run's event: the run as it then was (a row of etl_runs as JSON).
    run         jsonb,
    -- A change of coins: their tickers, one event a commit.
    tickers     text[],
    CHECK ((kind = 'coins_changed') = (tickers IS NOT NULL)),
    CHECK ((kind = 'coins_changed') = (run IS NULL))
);
CREATE INDEX events_by_time ON events (at);

-- The server may read everything and ask for a run; nothing else. A role belongs to the whole cluster, so another
-- database's migration may be making it just now. Where it cannot be made (a managed database without CREATEROLE),
-- the server works with the rights of its own login.
DO $$
BEGIN
    BEGIN
        CREATE ROLE kasparro_server NOLOGIN;
    EXCEPTION
        WHEN duplicate_object OR unique_violation OR insufficient_privilege THEN NULL;
    END;
    BEGIN
        GRANT kasparro_server TO CURRENT_USER;
    EXCEPTION
        WHEN undefined_object OR insufficient_privilege OR internal_error THEN
            RAISE NOTICE 'role kasparro_server was not granted: %', SQLERRM;
    END;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'kasparro_server') THEN
        GRANT USAGE ON SCHEMA public TO kasparro_server;
        GRANT SELECT ON ALL TABLES IN SCHEMA public TO kasparro_server;
        ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO kasparro_server;
        GRANT INSERT (sources, full_run) ON etl_requests TO kasparro_server;
    END IF;
END
$$;
