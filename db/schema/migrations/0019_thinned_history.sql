-- History thinned by age: of the points of an hour or a day the last one stays, and its candles stay as they are.

-- How many hours a point stands for, where the others of its time were removed; 0 where none was.
ALTER TABLE price_points
    ADD COLUMN thinned_hours smallint DEFAULT 0 NOT NULL CHECK (thinned_hours IN (0, 1, 24));

-- The partitions of history that were thinned, and how far; those of candles are only compacted.
CREATE TABLE thinned_partitions (
    partition  text PRIMARY KEY,
    ends_at    timestamptz NOT NULL,
    hours      smallint NOT NULL CHECK (hours IN (1, 24)),
    -- Listings up to this id are done.
    done_to    integer DEFAULT 0 NOT NULL,
    removed    bigint DEFAULT 0 NOT NULL,
    -- Its space was given back.
    is_compact boolean DEFAULT false NOT NULL
);

-- An ingestor owns no table. The rows stay visible to every snapshot, which they would not after a TRUNCATE.
CREATE FUNCTION compact_partition(parent text, name text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM check_partition(parent, name);
    EXECUTE format('ALTER TABLE %I RESET (fillfactor)', name);
    EXECUTE format('CLUSTER %I USING %I', name, name || '_pkey');
    EXECUTE format('ANALYZE %I', name);
END
$$;
REVOKE EXECUTE ON FUNCTION compact_partition FROM PUBLIC;
