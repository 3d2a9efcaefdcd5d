-- History by listing: each listing has its own series of points and candles.

CREATE SEQUENCE listing_ids AS integer MAXVALUE 2147483646;
ALTER TABLE listings ADD COLUMN id integer NOT NULL DEFAULT nextval('listing_ids') CHECK (id > 0);
ALTER SEQUENCE listing_ids OWNED BY listings.id;
CREATE UNIQUE INDEX listings_by_id ON listings (id);

-- The history by ticker of an earlier version, which an ingestor moves to the listings. The names of its partitions and
-- indexes are wanted again.
DO $$
DECLARE
    relation text;
BEGIN
    FOR relation IN
        SELECT c.relname
        FROM pg_class AS c
        WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p', 'i', 'I')
          AND c.relname ~ '^(price_points|candles)(_default|_[0-9]{8}([0-9]{2})?)?(_pkey)?$'
        ORDER BY c.relkind IN ('i', 'I') DESC, c.relname
    LOOP
        IF relation LIKE '%_pkey' THEN
            EXECUTE format('ALTER INDEX %I RENAME TO %I', relation, 'former_' || relation);
        ELSE
            EXECUTE format('ALTER TABLE %I RENAME TO %I', relation, 'former_' || relation);
        END IF;
    END LOOP;
END
$$;

CREATE TABLE price_points (
    at             timestamptz NOT NULL,
    -- When the page was fetched: of two words for one time the later one counts. Null for a price that the source said of
    -- the past, which every observation replaces.
    fetched_at     timestamptz,
    listing        integer NOT NULL CHECK (listing BETWEEN 1 AND 2147483646),
    -- A jump that the next observation has not confirmed; candles leave it out.
    is_held        boolean DEFAULT false NOT NULL,
    -- Null where the source said that it has no price.
    price_usd      numeric CHECK (price_usd > 0),
    market_cap_usd numeric,
    volume_24h_usd numeric,
    -- Where the body of the source says it; null for what is older than the bodies.
    body           bigint,
    body_offset    integer,
    body_length    integer,
    PRIMARY KEY (listing, at)
) PARTITION BY RANGE (at);
CREATE TABLE price_points_default PARTITION OF price_points DEFAULT;

-- A roll-up of a listing's points; open_at and close_at make late points land right, whatever the order of arrival.
CREATE TABLE candles (
    start    timestamptz NOT NULL,
    open_at  timestamptz NOT NULL,
    close_at timestamptz NOT NULL,
    listing  integer NOT NULL,
    samples  integer NOT NULL CHECK (samples > 0),
    interval text NOT NULL CHECK (interval IN ('H1', 'D1')),
    open     numeric NOT NULL,
    high     numeric NOT NULL,
    low      numeric NOT NULL,
    close    numeric NOT NULL,
    PRIMARY KEY (listing, interval, start),
    CHECK (low <= least(open, close) AND high >= greatest(open, close)),
    CHECK (start <= open_at AND open_at <= close_at)
) PARTITION BY RANGE (start);
CREATE TABLE candles_default PARTITION OF candles DEFAULT;

-- An ingestor owns no table. Once it has moved all rows, this drops the former tables.
CREATE FUNCTION drop_former_history() RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    is_empty boolean;
BEGIN
    IF to_regclass('former_price_points') IS NULL THEN
        RETURN true;
    END IF;
    SELECT NOT EXISTS (SELECT FROM former_price_points) INTO is_empty;
    IF is_empty THEN
        DROP TABLE former_price_points, former_candles;
    END IF;
    RETURN is_empty;
END
$$;
REVOKE EXECUTE ON FUNCTION drop_former_history FROM PUBLIC;
SELECT drop_former_history();

-- The scratch of an interrupted rebuild is another code's, and worth nothing to this one.
TRUNCATE reprocess_job, reprocess_progress, reprocess_versions, reprocess_listings, reprocess_rewritten,
    reprocess_coins;
DROP TABLE reprocess_needed, reprocess_owned, reprocess_foreseen, reprocess_last, reprocess_points, reprocess_point_changes,
    reprocess_buckets, reprocess_candle_changes;
-- Points that are to be added (nothing old), removed (nothing new) or changed. An observation without a price is a point,
-- so fields beside the price tell whether there is one.
CREATE UNLOGGED TABLE reprocess_point_changes (
    listing            integer NOT NULL,
    at                 timestamptz NOT NULL,
    was                boolean NOT NULL,
    old_fetched_at     timestamptz,
    old_is_held        boolean,
    old_price_usd      numeric,
    old_market_cap_usd numeric,
    old_volume_24h_usd numeric,
    stays              boolean NOT NULL,
    fetched_at         timestamptz,
    is_held            boolean,
    price_usd          numeric,
    market_cap_usd     numeric,
    volume_24h_usd     numeric,
    body               bigint,
    body_offset        integer,
    body_length        integer,
    PRIMARY KEY (listing, at),
    CHECK (was OR stays)
);
-- Candles over changed points, still to be rolled up.
CREATE UNLOGGED TABLE reprocess_buckets (
    listing  integer NOT NULL,
    interval text NOT NULL,
    start    timestamptz NOT NULL,
    ends_at  timestamptz NOT NULL,
    PRIMARY KEY (listing, interval, start)
);
-- Candles that are to be added (nothing old), removed (nothing new) or changed.
CREATE UNLOGGED TABLE reprocess_candle_changes (
    listing      integer NOT NULL,
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
    PRIMARY KEY (listing, interval, start),
    CHECK (num_nonnulls(samples, old_samples) > 0)
);
