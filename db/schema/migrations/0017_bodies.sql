-- Bodies as they came: what a source sent, packed with zstd; the raw tables hold the newest payload of each listing.

CREATE SEQUENCE body_ids AS bigint;
CREATE TABLE bodies (
    -- By the clock of raw_clock, under the write lock: a body that is committed later has arrived later.
    arrived_at   timestamptz NOT NULL,
    fetched_at   timestamptz NOT NULL,
    id           bigint NOT NULL,
    run_id       bigint NOT NULL,
    -- A body of the same UTC hour with the same bytes, which has the content. Both expire together.
    same_as      bigint,
    size         bigint NOT NULL CHECK (size >= 0),
    page_number  integer NOT NULL,
    -- How many records the index names.
    record_count integer NOT NULL CHECK (record_count >= 0),
    source       text NOT NULL,
    page_group   text NOT NULL,
    -- verbatim: the bytes of the response. records: the payloads of the page, one after the other, where a body is a
    -- slice of a file, or where no record is a slice of the response.
    form         text NOT NULL CHECK (form IN ('verbatim', 'records')),
    url          text,
    headers      jsonb NOT NULL,
    sha256       bytea NOT NULL CHECK (length(sha256) = 32),
    -- Which records were written from this body, and where they are in it: MessagePack, packed (db/bodies.py).
    records      bytea NOT NULL,
    content      bytea,
    -- The packed sizes of the frames of 256 KiB that the content has: a record is cut out of one or two of them.
    frames       integer[],
    PRIMARY KEY (arrived_at, id),
    CHECK ((content IS NULL) = (same_as IS NOT NULL) AND (frames IS NULL) = (content IS NULL))
) PARTITION BY RANGE (arrived_at);
ALTER TABLE bodies ALTER COLUMN content SET STORAGE EXTERNAL, ALTER COLUMN records SET STORAGE EXTERNAL;
CREATE INDEX bodies_by_id ON bodies (id);
-- A point says when its page was fetched, and so in which bodies to look for it.
CREATE INDEX bodies_by_fetch ON bodies (source, fetched_at);
CREATE INDEX bodies_by_page ON bodies (source, page_group, page_number, arrived_at);
CREATE TABLE bodies_default PARTITION OF bodies DEFAULT;

CREATE OR REPLACE FUNCTION is_partitioned_by_time(parent text) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    RETURN parent IN ('bodies', 'price_points', 'candles');

ALTER TABLE listings
    ADD COLUMN body bigint, ADD COLUMN body_offset integer, ADD COLUMN body_length integer;
ALTER TABLE rejected_records
    ADD COLUMN body bigint, ADD COLUMN body_offset integer, ADD COLUMN body_length integer;

-- The payloads of an earlier version, which an ingestor turns into bodies. They lie in the order of their arrival.
ALTER TABLE raw_api_records RENAME TO former_raw_api_records;
ALTER TABLE raw_csv_records RENAME TO former_raw_csv_records;
ALTER INDEX raw_api_records_pkey RENAME TO former_raw_api_records_pkey;
ALTER INDEX raw_csv_records_pkey RENAME TO former_raw_csv_records_pkey;
CREATE INDEX former_raw_api_records_by_arrival ON former_raw_api_records USING brin (ingested_at)
    WITH (pages_per_range = 16);
CREATE INDEX former_raw_csv_records_by_arrival ON former_raw_csv_records USING brin (ingested_at)
    WITH (pages_per_range = 16);

-- The newest payload of each listing, for SQL. Each poll replaces many: with room for the next versions beside them
-- the index does not grow.
CREATE TABLE raw_api_records (
    source       text NOT NULL,
    external_id  text NOT NULL,
    payload      jsonb NOT NULL,
    ingested_at  timestamptz NOT NULL,
    run_id       bigint NOT NULL,
    content_hash bytea NOT NULL,
    fetched_at   timestamptz,
    PRIMARY KEY (source, external_id)
) WITH (fillfactor = 50);
CREATE TABLE raw_csv_records (LIKE raw_api_records INCLUDING ALL) WITH (fillfactor = 50);
INSERT INTO raw_api_records
SELECT DISTINCT ON (r.source, r.external_id)
    r.source, r.external_id, r.payload, r.ingested_at, r.run_id, r.content_hash, r.fetched_at
FROM listings AS l
JOIN former_raw_api_records AS r
    ON r.source = l.source AND r.external_id = l.external_id AND r.content_hash = l.content_hash
ORDER BY r.source, r.external_id, r.ingested_at DESC;
INSERT INTO raw_csv_records
SELECT DISTINCT ON (r.source, r.external_id)
    r.source, r.external_id, r.payload, r.ingested_at, r.run_id, r.content_hash, r.fetched_at
FROM listings AS l
JOIN former_raw_csv_records AS r
    ON r.source = l.source AND r.external_id = l.external_id AND r.content_hash = l.content_hash
ORDER BY r.source, r.external_id, r.ingested_at DESC;

-- An ingestor owns no table. Once it has turned all payloads into bodies, this drops the former tables.
CREATE FUNCTION drop_former_payloads() RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    is_empty boolean;
BEGIN
    IF to_regclass('former_raw_api_records') IS NULL THEN
        RETURN true;
    END IF;
    SELECT NOT EXISTS (SELECT FROM former_raw_api_records) AND NOT EXISTS (SELECT FROM former_raw_csv_records)
    INTO is_empty;
    IF is_empty THEN
        DROP TABLE former_raw_api_records, former_raw_csv_records;
    END IF;
    RETURN is_empty;
END
$$;
REVOKE EXECUTE ON FUNCTION drop_former_payloads FROM PUBLIC;
SELECT drop_former_payloads();

-- Where the bodies say it, and how far a rebuild has read.
TRUNCATE reprocess_job, reprocess_progress, reprocess_versions, reprocess_listings, reprocess_rewritten,
    reprocess_coins;
DROP TABLE reprocess_needed;
ALTER TABLE reprocess_progress
    ADD COLUMN body_at timestamptz, ADD COLUMN body bigint;
ALTER TABLE reprocess_versions
    ADD COLUMN body bigint, ADD COLUMN body_offset integer, ADD COLUMN body_length integer;
ALTER TABLE reprocess_listings
    ADD COLUMN body bigint, ADD COLUMN body_offset integer, ADD COLUMN body_length integer;
