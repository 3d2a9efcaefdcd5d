-- Logins of their own for the server and the ingestor, and what an ingestor may change of the schema: partitions.

-- The logins that db/logins.py makes. Only the owner reads this, and may set these passwords anyway: so every machine
-- with the owner's DATABASE_URL finds the same ones.
CREATE TABLE logins (
    part     text PRIMARY KEY CHECK (part IN ('server', 'ingestor')),
    role     text NOT NULL,
    password text NOT NULL
);
REVOKE ALL ON logins FROM PUBLIC;
DO $$
BEGIN
    -- The group of earlier versions, whose servers may still run, reads what the default privileges give it.
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'kasparro_server') THEN
        REVOKE ALL ON logins FROM kasparro_server;
    END IF;
END
$$;

-- An ingestor owns no table: it has these three functions, which run with the rights of the owner, make and drop
-- partitions by time, and can touch nothing else.
CREATE FUNCTION is_partitioned_by_time(parent text) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    RETURN parent IN ('raw_api_records', 'raw_csv_records', 'price_points', 'candles');

CREATE FUNCTION create_partition(parent text, first_day date, days integer) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF NOT is_partitioned_by_time(parent) OR days NOT BETWEEN 1 AND 366 THEN
        RAISE EXCEPTION 'no partition of % may be made for % days', parent, days USING ERRCODE = 'insufficient_privilege';
    END IF;
    EXECUTE format(
        'CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)%s',
        parent || '_' || to_char(first_day, 'YYYYMMDD'), parent,
        to_char(first_day, 'YYYY-MM-DD 00:00+00'), to_char(first_day + days, 'YYYY-MM-DD 00:00+00'),
        -- Each poll widens the newest candles: with room for their next versions beside them no index learns of these.
        CASE parent WHEN 'candles' THEN ' WITH (fillfactor = 50)' ELSE '' END
    );
END
$$;

CREATE FUNCTION detach_partition(parent text, name text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF NOT is_partitioned_by_time(parent) OR name !~ ('^' || parent || '_[0-9]{8}$') THEN
        RAISE EXCEPTION '% is not a partition of %', name, parent USING ERRCODE = 'insufficient_privilege';
    END IF;
    EXECUTE format('ALTER TABLE %I DETACH PARTITION %I', parent, name);
END
$$;

CREATE FUNCTION drop_detached_partition(parent text, name text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF NOT is_partitioned_by_time(parent) OR name !~ ('^' || parent || '_[0-9]{8}$')
        OR (SELECT relispartition FROM pg_class WHERE oid = to_regclass(format('public.%I', name)))
    THEN
        RAISE EXCEPTION '% is not a detached partition of %', name, parent USING ERRCODE = 'insufficient_privilege';
    END IF;
    EXECUTE format('DROP TABLE %I', name);
END
$$;

REVOKE EXECUTE ON FUNCTION create_partition, detach_partition, drop_detached_partition FROM PUBLIC;
