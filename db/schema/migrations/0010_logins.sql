-- Logins of their own for the server and the ingestor, and what an ingestor may change of the schema: partitions.

-- The logins that db/schema/logins.py makes. Only the owner reads this, and may set these passwords anyway: so every machine
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

-- An ingestor owns no table: it has these functions, which run with the rights of the owner, make and drop
-- partitions by time, and can touch nothing else.
CREATE FUNCTION is_partitioned_by_time(parent text) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    RETURN parent IN ('raw_api_records', 'raw_csv_records', 'price_points', 'candles');

CREATE FUNCTION check_partition(parent text, name text) RETURNS void
    LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF NOT is_partitioned_by_time(parent) OR name !~ ('^' || parent || '_[0-9]{8}([0-9]{2})?$') THEN
        RAISE EXCEPTION '% is not a partition of %', name, parent USING ERRCODE = 'insufficient_privilege';
    END IF;
END
$$;

CREATE FUNCTION create_partition(parent text, name text, starts_at timestamptz, ends_at timestamptz) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM check_partition(parent, name);
    EXECUTE format(
        'CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)%s', name, parent, starts_at, ends_at,
        -- Each poll widens the newest candles: with room for their next versions beside them no index learns of these.
        CASE parent WHEN 'candles' THEN ' WITH (fillfactor = 50)' ELSE '' END
    );
END
$$;

CREATE FUNCTION detach_partition(parent text, name text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM check_partition(parent, name);
    EXECUTE format('ALTER TABLE %I DETACH PARTITION %I', parent, name);
END
$$;

CREATE FUNCTION drop_detached_partition(parent text, name text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM check_partition(parent, name);
    IF (SELECT relispartition FROM pg_class WHERE oid = to_regclass(format('public.%I', name))) THEN
        RAISE EXCEPTION '% is still a partition of %', name, parent USING ERRCODE = 'insufficient_privilege';
    END IF;
    EXECUTE format('DROP TABLE %I', name);
END
$$;

-- Drop a partition that nothing was written to; true where that was so.
CREATE FUNCTION drop_empty_partition(parent text, name text) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    is_empty boolean;
BEGIN
    PERFORM check_partition(parent, name);
    EXECUTE format('LOCK TABLE ONLY %I IN ACCESS EXCLUSIVE MODE', name);
    EXECUTE format('SELECT NOT EXISTS (SELECT FROM %I)', name) INTO is_empty;
    IF is_empty THEN
        EXECUTE format('DROP TABLE %I', name);
    END IF;
    RETURN is_empty;
END
$$;

REVOKE EXECUTE ON FUNCTION create_partition, detach_partition, drop_detached_partition, drop_empty_partition
    FROM PUBLIC;
