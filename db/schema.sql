-- Generated from db/schema/migrations by `python -m db.schema.dump`: change a migration, not this file.

CREATE ROLE kasparro_server NOLOGIN;

CREATE TYPE public.observation AS (
	at timestamp with time zone,
	fetched_at timestamp with time zone,
	price_usd numeric,
	market_cap_usd numeric,
	volume_24h_usd numeric
);

CREATE FUNCTION public.check_partition(parent text, name text) RETURNS void
    LANGUAGE plpgsql IMMUTABLE
    AS $_$
BEGIN
    IF NOT is_partitioned_by_time(parent) OR name !~ ('^' || parent || '_[0-9]{8}([0-9]{2})?$') THEN
        RAISE EXCEPTION '% is not a partition of %', name, parent USING ERRCODE = 'insufficient_privilege';
    END IF;
END
$_$;

CREATE FUNCTION public.compact_partition(parent text, name text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
BEGIN
    PERFORM check_partition(parent, name);
    EXECUTE format('ALTER TABLE %I RESET (fillfactor)', name);
    EXECUTE format('CLUSTER %I USING %I', name, name || '_pkey');
    EXECUTE format('ANALYZE %I', name);
END
$$;

CREATE FUNCTION public.create_partition(parent text, name text, starts_at timestamp with time zone, ends_at timestamp with time zone) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
BEGIN
    PERFORM check_partition(parent, name);
    EXECUTE format(
        'CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)%s', name, parent, starts_at, ends_at,
        -- Each poll widens the newest candles: with room for their next versions beside them no index learns of these.
        CASE parent WHEN 'candles' THEN ' WITH (fillfactor = 50)' ELSE '' END
    );
END
$$;

CREATE FUNCTION public.detach_partition(parent text, name text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
BEGIN
    PERFORM check_partition(parent, name);
    EXECUTE format('ALTER TABLE %I DETACH PARTITION %I', parent, name);
END
$$;

CREATE FUNCTION public.drop_detached_partition(parent text, name text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
BEGIN
    PERFORM check_partition(parent, name);
    IF (SELECT relispartition FROM pg_class WHERE oid = to_regclass(format('public.%I', name))) THEN
        RAISE EXCEPTION '% is still a partition of %', name, parent USING ERRCODE = 'insufficient_privilege';
    END IF;
    EXECUTE format('DROP TABLE %I', name);
END
$$;

CREATE FUNCTION public.drop_empty_partition(parent text, name text) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
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

CREATE FUNCTION public.drop_former_history() RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
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

CREATE FUNCTION public.drop_former_payloads() RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
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

CREATE FUNCTION public.is_partitioned_by_time(parent text) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    RETURN (parent = ANY (ARRAY['bodies'::text, 'price_points'::text, 'candles'::text]));

CREATE FUNCTION public.round_half_even(amount numeric, places integer) RETURNS numeric
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN ((min_scale(amount) = (places + 1)) AND ((abs((amount - trunc(amount, places))) * (2)::numeric) = power((10)::numeric, ((- places))::numeric)) AND (mod((trunc(amount, places) * power((10)::numeric, (places)::numeric)), (2)::numeric) = (0)::numeric)) THEN trunc(amount, places) ELSE round(amount, places) END;

CREATE TABLE public.address_groups (
    source text NOT NULL,
    external_id text NOT NULL,
    address_group text NOT NULL,
    chains text[] NOT NULL,
    CONSTRAINT address_groups_address_group_check CHECK ((address_group <> ''::text)),
    CONSTRAINT address_groups_chains_check CHECK ((cardinality(chains) > 0))
);

CREATE TABLE public.api_calls (
    source text NOT NULL,
    month date NOT NULL,
    calls bigint NOT NULL,
    CONSTRAINT api_calls_calls_check CHECK ((calls >= 0)),
    CONSTRAINT api_calls_month_check CHECK ((EXTRACT(day FROM month) = (1)::numeric))
);

CREATE TABLE public.backfills (
    source text NOT NULL,
    days integer NOT NULL,
    external_id text NOT NULL,
    window_end date NOT NULL,
    outcome text DEFAULT 'pending'::text NOT NULL,
    points integer DEFAULT 0 NOT NULL,
    answered_at timestamp with time zone,
    CONSTRAINT backfills_check CHECK (((points = 0) OR (outcome = 'filled'::text))),
    CONSTRAINT backfills_check1 CHECK (((answered_at IS NULL) = (outcome = 'pending'::text))),
    CONSTRAINT backfills_days_check CHECK ((days > 0)),
    CONSTRAINT backfills_outcome_check CHECK ((outcome = ANY (ARRAY['pending'::text, 'filled'::text, 'missing'::text, 'unreadable'::text]))),
    CONSTRAINT backfills_points_check CHECK ((points >= 0))
);

CREATE TABLE public.bodies (
    arrived_at timestamp with time zone NOT NULL,
    fetched_at timestamp with time zone NOT NULL,
    id bigint NOT NULL,
    run_id bigint NOT NULL,
    same_as bigint,
    size bigint NOT NULL,
    page_number integer NOT NULL,
    record_count integer NOT NULL,
    source text NOT NULL,
    page_group text NOT NULL,
    form text NOT NULL,
    url text,
    headers jsonb NOT NULL,
    sha256 bytea NOT NULL,
    records bytea NOT NULL,
    content bytea,
    frames integer[],
    CONSTRAINT bodies_check CHECK ((((content IS NULL) = (same_as IS NOT NULL)) AND ((frames IS NULL) = (content IS NULL)))),
    CONSTRAINT bodies_form_check CHECK ((form = ANY (ARRAY['verbatim'::text, 'records'::text]))),
    CONSTRAINT bodies_record_count_check CHECK ((record_count >= 0)),
    CONSTRAINT bodies_sha256_check CHECK ((length(sha256) = 32)),
    CONSTRAINT bodies_size_check CHECK ((size >= 0))
)
PARTITION BY RANGE (arrived_at);
ALTER TABLE ONLY public.bodies ALTER COLUMN records SET STORAGE EXTERNAL;
ALTER TABLE ONLY public.bodies ALTER COLUMN content SET STORAGE EXTERNAL;

CREATE TABLE public.bodies_default (
    arrived_at timestamp with time zone CONSTRAINT bodies_arrived_at_not_null NOT NULL,
    fetched_at timestamp with time zone CONSTRAINT bodies_fetched_at_not_null NOT NULL,
    id bigint CONSTRAINT bodies_id_not_null NOT NULL,
    run_id bigint CONSTRAINT bodies_run_id_not_null NOT NULL,
    same_as bigint,
    size bigint CONSTRAINT bodies_size_not_null NOT NULL,
    page_number integer CONSTRAINT bodies_page_number_not_null NOT NULL,
    record_count integer CONSTRAINT bodies_record_count_not_null NOT NULL,
    source text CONSTRAINT bodies_source_not_null NOT NULL,
    page_group text CONSTRAINT bodies_page_group_not_null NOT NULL,
    form text CONSTRAINT bodies_form_not_null NOT NULL,
    url text,
    headers jsonb CONSTRAINT bodies_headers_not_null NOT NULL,
    sha256 bytea CONSTRAINT bodies_sha256_not_null NOT NULL,
    records bytea CONSTRAINT bodies_records_not_null NOT NULL,
    content bytea,
    frames integer[],
    CONSTRAINT bodies_check CHECK ((((content IS NULL) = (same_as IS NOT NULL)) AND ((frames IS NULL) = (content IS NULL)))),
    CONSTRAINT bodies_form_check CHECK ((form = ANY (ARRAY['verbatim'::text, 'records'::text]))),
    CONSTRAINT bodies_record_count_check CHECK ((record_count >= 0)),
    CONSTRAINT bodies_sha256_check CHECK ((length(sha256) = 32)),
    CONSTRAINT bodies_size_check CHECK ((size >= 0))
);
ALTER TABLE ONLY public.bodies_default ALTER COLUMN records SET STORAGE EXTERNAL;
ALTER TABLE ONLY public.bodies_default ALTER COLUMN content SET STORAGE EXTERNAL;

CREATE SEQUENCE public.body_ids
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

CREATE TABLE public.candles (
    start timestamp with time zone CONSTRAINT candles_start_not_null1 NOT NULL,
    open_at timestamp with time zone CONSTRAINT candles_open_at_not_null1 NOT NULL,
    close_at timestamp with time zone CONSTRAINT candles_close_at_not_null1 NOT NULL,
    listing integer NOT NULL,
    samples integer CONSTRAINT candles_samples_not_null1 NOT NULL,
    "interval" text CONSTRAINT candles_interval_not_null1 NOT NULL,
    open numeric CONSTRAINT candles_open_not_null1 NOT NULL,
    high numeric CONSTRAINT candles_high_not_null1 NOT NULL,
    low numeric CONSTRAINT candles_low_not_null1 NOT NULL,
    close numeric CONSTRAINT candles_close_not_null1 NOT NULL,
    CONSTRAINT candles_check2 CHECK (((low <= LEAST(open, close)) AND (high >= GREATEST(open, close)))),
    CONSTRAINT candles_check3 CHECK (((start <= open_at) AND (open_at <= close_at))),
    CONSTRAINT candles_interval_check1 CHECK (("interval" = ANY (ARRAY['H1'::text, 'D1'::text]))),
    CONSTRAINT candles_samples_check1 CHECK ((samples > 0))
)
PARTITION BY RANGE (start);

CREATE TABLE public.candles_default (
    start timestamp with time zone CONSTRAINT candles_start_not_null1 NOT NULL,
    open_at timestamp with time zone CONSTRAINT candles_open_at_not_null1 NOT NULL,
    close_at timestamp with time zone CONSTRAINT candles_close_at_not_null1 NOT NULL,
    listing integer CONSTRAINT candles_listing_not_null NOT NULL,
    samples integer CONSTRAINT candles_samples_not_null1 NOT NULL,
    "interval" text CONSTRAINT candles_interval_not_null1 NOT NULL,
    open numeric CONSTRAINT candles_open_not_null1 NOT NULL,
    high numeric CONSTRAINT candles_high_not_null1 NOT NULL,
    low numeric CONSTRAINT candles_low_not_null1 NOT NULL,
    close numeric CONSTRAINT candles_close_not_null1 NOT NULL,
    CONSTRAINT candles_check2 CHECK (((low <= LEAST(open, close)) AND (high >= GREATEST(open, close)))),
    CONSTRAINT candles_check3 CHECK (((start <= open_at) AND (open_at <= close_at))),
    CONSTRAINT candles_interval_check1 CHECK (("interval" = ANY (ARRAY['H1'::text, 'D1'::text]))),
    CONSTRAINT candles_samples_check1 CHECK ((samples > 0))
);

CREATE TABLE public.consensus (
    asset text NOT NULL,
    price_usd numeric,
    confidence_usd numeric,
    volume_24h_usd numeric NOT NULL,
    venues integer NOT NULL,
    observed_at timestamp with time zone,
    computed_at timestamp with time zone NOT NULL,
    contributions json NOT NULL,
    CONSTRAINT consensus_asset_check CHECK ((asset <> ''::text)),
    CONSTRAINT consensus_check CHECK (((price_usd IS NULL) = (confidence_usd IS NULL))),
    CONSTRAINT consensus_check1 CHECK (((price_usd IS NULL) = (observed_at IS NULL))),
    CONSTRAINT consensus_confidence_usd_check CHECK ((confidence_usd >= (0)::numeric)),
    CONSTRAINT consensus_price_usd_check CHECK ((price_usd > (0)::numeric)),
    CONSTRAINT consensus_venues_check CHECK ((venues >= 0)),
    CONSTRAINT consensus_volume_24h_usd_check CHECK ((volume_24h_usd >= (0)::numeric))
)
WITH (fillfactor='50');

CREATE TABLE public.demo (
    only_one boolean DEFAULT true NOT NULL,
    marked_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT demo_only_one_check CHECK (only_one)
);

CREATE TABLE public.etl_checkpoints (
    source text NOT NULL,
    last_id text,
    last_timestamp timestamp with time zone,
    updated_at timestamp with time zone NOT NULL,
    "position" jsonb,
    sweep_started_at timestamp with time zone,
    sweep_dirty boolean DEFAULT false NOT NULL,
    last_sweep_at timestamp with time zone,
    sweep_emptied boolean DEFAULT false NOT NULL,
    doubted_sweeps integer DEFAULT 0 NOT NULL,
    CONSTRAINT etl_checkpoints_doubted_sweeps_check CHECK ((doubted_sweeps >= 0))
);

CREATE TABLE public.etl_requests (
    id bigint NOT NULL,
    status text DEFAULT 'pending'::text NOT NULL,
    sources text[] NOT NULL,
    full_run boolean DEFAULT false NOT NULL,
    requested_at timestamp with time zone DEFAULT now() NOT NULL,
    finished_at timestamp with time zone,
    CONSTRAINT etl_requests_check CHECK (((finished_at IS NOT NULL) = (status = 'done'::text))),
    CONSTRAINT etl_requests_sources_check CHECK ((cardinality(sources) > 0)),
    CONSTRAINT etl_requests_status_check CHECK ((status = ANY (ARRAY['pending'::text, 'running'::text, 'done'::text])))
);

ALTER TABLE public.etl_requests ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.etl_requests_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.etl_runs (
    id bigint NOT NULL,
    source text NOT NULL,
    status text DEFAULT 'running'::text NOT NULL,
    processed integer DEFAULT 0 NOT NULL,
    failed integer DEFAULT 0 NOT NULL,
    changed integer DEFAULT 0 NOT NULL,
    unchanged integer DEFAULT 0 NOT NULL,
    pages integer DEFAULT 0 NOT NULL,
    started_at timestamp with time zone NOT NULL,
    finished_at timestamp with time zone,
    message text,
    request_id bigint,
    kind text DEFAULT 'ingest'::text NOT NULL,
    notes jsonb DEFAULT '[]'::jsonb NOT NULL,
    note_count bigint DEFAULT 0 NOT NULL,
    CONSTRAINT etl_runs_changed_check CHECK ((changed >= 0)),
    CONSTRAINT etl_runs_check CHECK (((failed >= 0) AND (failed <= processed))),
    CONSTRAINT etl_runs_check1 CHECK ((((failed + changed) + unchanged) = processed)),
    CONSTRAINT etl_runs_check2 CHECK (((finished_at IS NULL) = (status = 'running'::text))),
    CONSTRAINT etl_runs_check3 CHECK ((finished_at >= started_at)),
    CONSTRAINT etl_runs_check4 CHECK (((status <> 'failure'::text) OR (message IS NOT NULL))),
    CONSTRAINT etl_runs_kind_check CHECK ((kind = ANY (ARRAY['ingest'::text, 'reprocess'::text]))),
    CONSTRAINT etl_runs_note_count_check CHECK ((note_count >= 0)),
    CONSTRAINT etl_runs_notes_check CHECK ((jsonb_typeof(notes) = 'array'::text)),
    CONSTRAINT etl_runs_pages_check CHECK ((pages >= 0)),
    CONSTRAINT etl_runs_processed_check CHECK ((processed >= 0)),
    CONSTRAINT etl_runs_status_check CHECK ((status = ANY (ARRAY['running'::text, 'success'::text, 'partial'::text, 'failure'::text, 'abandoned'::text]))),
    CONSTRAINT etl_runs_unchanged_check CHECK ((unchanged >= 0))
);

ALTER TABLE public.etl_runs ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.etl_runs_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.events (
    seq bigint NOT NULL,
    kind text NOT NULL,
    at timestamp with time zone NOT NULL,
    run jsonb,
    tickers text[],
    CONSTRAINT events_check CHECK (((kind = 'coins_changed'::text) = (tickers IS NOT NULL))),
    CONSTRAINT events_check1 CHECK (((kind = 'coins_changed'::text) = (run IS NULL))),
    CONSTRAINT events_kind_check CHECK ((kind = ANY (ARRAY['run_started'::text, 'run_progress'::text, 'run_finished'::text, 'coins_changed'::text])))
);

ALTER TABLE public.events ALTER COLUMN seq ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.events_seq_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.former_tickers (
    source text NOT NULL,
    external_id text NOT NULL,
    ticker text NOT NULL,
    until timestamp with time zone NOT NULL
);

CREATE TABLE public.identities (
    source text NOT NULL,
    external_id text NOT NULL,
    asset text,
    is_owner boolean DEFAULT false NOT NULL,
    is_banned boolean DEFAULT false NOT NULL,
    CONSTRAINT identities_asset_check CHECK ((asset <> ''::text)),
    CONSTRAINT identities_check CHECK ((NOT (is_owner AND is_banned))),
    CONSTRAINT identities_check1 CHECK (((asset IS NOT NULL) OR is_owner OR is_banned))
);

CREATE TABLE public.listing_addresses (
    source text NOT NULL,
    external_id text NOT NULL,
    chain text NOT NULL,
    address text NOT NULL,
    active boolean DEFAULT true NOT NULL,
    seen_at timestamp with time zone NOT NULL,
    CONSTRAINT listing_addresses_address_check CHECK ((address <> ''::text)),
    CONSTRAINT listing_addresses_chain_check CHECK ((chain <> ''::text))
);

CREATE TABLE public.listings (
    source text NOT NULL,
    external_id text NOT NULL,
    ticker text NOT NULL,
    symbol text NOT NULL,
    name text,
    name_words text NOT NULL,
    core_words text NOT NULL,
    rank integer,
    price_usd numeric,
    market_cap_usd numeric,
    volume_24h_usd numeric,
    percent_change_24h numeric,
    circulating_supply numeric,
    total_supply numeric,
    max_supply numeric,
    observed_at timestamp with time zone NOT NULL,
    fetched_at timestamp with time zone NOT NULL,
    first_seen_at timestamp with time zone NOT NULL,
    last_seen_at timestamp with time zone NOT NULL,
    content_hash bytea NOT NULL,
    active boolean DEFAULT true NOT NULL,
    missing_since timestamp with time zone,
    contributes boolean DEFAULT false NOT NULL,
    has_own_time boolean DEFAULT true NOT NULL,
    before public.observation[] DEFAULT '{}'::public.observation[] NOT NULL,
    asset text,
    id integer NOT NULL,
    body bigint,
    body_offset integer,
    body_length integer,
    CONSTRAINT listings_asset_check CHECK ((asset <> ''::text)),
    CONSTRAINT listings_before_check CHECK ((cardinality(before) <= 2)),
    CONSTRAINT listings_circulating_supply_check CHECK (((circulating_supply > (0)::numeric) AND (circulating_supply < 'Infinity'::numeric))),
    CONSTRAINT listings_external_id_check CHECK ((external_id <> ''::text)),
    CONSTRAINT listings_id_check CHECK ((id > 0)),
    CONSTRAINT listings_market_cap_usd_check CHECK (((market_cap_usd > (0)::numeric) AND (market_cap_usd < 'Infinity'::numeric))),
    CONSTRAINT listings_max_supply_check CHECK (((max_supply > (0)::numeric) AND (max_supply < 'Infinity'::numeric))),
    CONSTRAINT listings_percent_change_24h_check CHECK (((percent_change_24h > '-Infinity'::numeric) AND (percent_change_24h < 'Infinity'::numeric))),
    CONSTRAINT listings_price_usd_check CHECK (((price_usd > (0)::numeric) AND (price_usd < 'Infinity'::numeric))),
    CONSTRAINT listings_rank_check CHECK ((rank > 0)),
    CONSTRAINT listings_ticker_check CHECK ((ticker <> ''::text)),
    CONSTRAINT listings_total_supply_check CHECK (((total_supply > (0)::numeric) AND (total_supply < 'Infinity'::numeric))),
    CONSTRAINT listings_volume_24h_usd_check CHECK (((volume_24h_usd >= (0)::numeric) AND (volume_24h_usd < 'Infinity'::numeric)))
)
WITH (fillfactor='80');

CREATE SEQUENCE public.listing_ids
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    MAXVALUE 2147483646
    CACHE 1;

ALTER SEQUENCE public.listing_ids OWNED BY public.listings.id;

CREATE TABLE public.logins (
    part text NOT NULL,
    role text NOT NULL,
    password text NOT NULL,
    CONSTRAINT logins_part_check CHECK ((part = ANY (ARRAY['server'::text, 'ingestor'::text])))
);

CREATE TABLE public.loop_problems (
    loop text NOT NULL,
    problem text NOT NULL,
    since timestamp with time zone NOT NULL,
    at timestamp with time zone NOT NULL
);

CREATE TABLE public.markets (
    venue text NOT NULL,
    symbol text NOT NULL,
    base text NOT NULL,
    quote text NOT NULL,
    status text NOT NULL,
    is_trading boolean NOT NULL,
    asset text,
    asset_reason text,
    price numeric,
    price_usd numeric,
    volume_24h_base numeric,
    volume_24h_quote numeric,
    observed_at timestamp with time zone,
    segment bigint,
    frame integer,
    listed_at timestamp with time zone NOT NULL,
    CONSTRAINT markets_asset_check CHECK ((asset <> ''::text)),
    CONSTRAINT markets_asset_reason_check CHECK ((asset_reason = ANY (ARRAY['label'::text, 'owner'::text, 'rival'::text, 'no_candidate'::text, 'no_price'::text, 'no_agreement'::text, 'ambiguous'::text]))),
    CONSTRAINT markets_check CHECK (((price IS NULL) = (observed_at IS NULL))),
    CONSTRAINT markets_check1 CHECK (((price IS NOT NULL) OR (price_usd IS NULL))),
    CONSTRAINT markets_check2 CHECK (((segment IS NULL) = (frame IS NULL))),
    CONSTRAINT markets_check3 CHECK (((asset IS NULL) OR (asset_reason = ANY (ARRAY['label'::text, 'owner'::text, 'rival'::text])))),
    CONSTRAINT markets_frame_check CHECK ((frame >= 0)),
    CONSTRAINT markets_price_check CHECK ((price > (0)::numeric)),
    CONSTRAINT markets_price_usd_check CHECK ((price_usd > (0)::numeric)),
    CONSTRAINT markets_symbol_check CHECK ((symbol <> ''::text)),
    CONSTRAINT markets_venue_check CHECK ((venue <> ''::text)),
    CONSTRAINT markets_volume_24h_base_check CHECK ((volume_24h_base >= (0)::numeric)),
    CONSTRAINT markets_volume_24h_quote_check CHECK ((volume_24h_quote >= (0)::numeric))
);

CREATE TABLE public.normalized_records (
    id text GENERATED ALWAYS AS (('merged_'::text || lower(ticker))) STORED NOT NULL,
    ticker text NOT NULL,
    name text,
    price_usd numeric GENERATED ALWAYS AS (public.round_half_even(price_usd_exact, 8)) STORED,
    price_usd_exact numeric,
    market_cap_usd numeric,
    volume_24h_usd numeric,
    percent_change_24h numeric,
    rank integer,
    source text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    ingested_at timestamp with time zone NOT NULL,
    price_spread_percent double precision,
    rival_count integer NOT NULL,
    provenance jsonb NOT NULL,
    stale_at timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
    asset text,
    confidence numeric,
    is_suspect boolean DEFAULT false NOT NULL,
    excluded jsonb,
    CONSTRAINT normalized_records_asset_check CHECK ((asset <> ''::text)),
    CONSTRAINT normalized_records_confidence_check CHECK (((confidence >= (0)::numeric) AND (confidence <= (1)::numeric))),
    CONSTRAINT normalized_records_excluded_check CHECK ((jsonb_typeof(excluded) = 'array'::text)),
    CONSTRAINT normalized_records_market_cap_usd_check CHECK ((market_cap_usd > (0)::numeric)),
    CONSTRAINT normalized_records_price_spread_percent_check CHECK (((price_spread_percent >= (0)::double precision) AND (price_spread_percent < 'Infinity'::double precision))),
    CONSTRAINT normalized_records_price_usd_exact_check CHECK ((price_usd_exact > (0)::numeric)),
    CONSTRAINT normalized_records_rank_check CHECK ((rank > 0)),
    CONSTRAINT normalized_records_rival_count_check CHECK ((rival_count >= 0)),
    CONSTRAINT normalized_records_volume_24h_usd_check CHECK ((volume_24h_usd >= (0)::numeric))
)
WITH (fillfactor='80');

COMMENT ON COLUMN public.normalized_records.provenance IS 'One giver of all fields, {"source", "external_id", "observed_at"}; else [{"field", "source", ...}, ...]';

CREATE TABLE public.price_points (
    at timestamp with time zone CONSTRAINT price_points_at_not_null1 NOT NULL,
    fetched_at timestamp with time zone,
    listing integer NOT NULL,
    tie integer,
    is_held boolean DEFAULT false NOT NULL,
    price_usd numeric,
    market_cap_usd numeric,
    volume_24h_usd numeric,
    thinned_hours smallint DEFAULT 0 NOT NULL,
    CONSTRAINT price_points_listing_check CHECK (((listing >= 1) AND (listing <= 2147483646))),
    CONSTRAINT price_points_price_usd_check1 CHECK ((price_usd > (0)::numeric)),
    CONSTRAINT price_points_thinned_hours_check CHECK ((thinned_hours = ANY (ARRAY[0, 1, 24])))
)
PARTITION BY RANGE (at);

CREATE TABLE public.price_points_default (
    at timestamp with time zone CONSTRAINT price_points_at_not_null1 NOT NULL,
    fetched_at timestamp with time zone,
    listing integer CONSTRAINT price_points_listing_not_null NOT NULL,
    tie integer,
    is_held boolean DEFAULT false CONSTRAINT price_points_is_held_not_null NOT NULL,
    price_usd numeric,
    market_cap_usd numeric,
    volume_24h_usd numeric,
    thinned_hours smallint DEFAULT 0 CONSTRAINT price_points_thinned_hours_not_null NOT NULL,
    CONSTRAINT price_points_listing_check CHECK (((listing >= 1) AND (listing <= 2147483646))),
    CONSTRAINT price_points_price_usd_check1 CHECK ((price_usd > (0)::numeric)),
    CONSTRAINT price_points_thinned_hours_check CHECK ((thinned_hours = ANY (ARRAY[0, 1, 24])))
);

CREATE TABLE public.raw_api_records (
    source text CONSTRAINT raw_api_records_source_not_null1 NOT NULL,
    external_id text CONSTRAINT raw_api_records_external_id_not_null1 NOT NULL,
    payload jsonb CONSTRAINT raw_api_records_payload_not_null1 NOT NULL,
    ingested_at timestamp with time zone CONSTRAINT raw_api_records_ingested_at_not_null1 NOT NULL,
    run_id bigint CONSTRAINT raw_api_records_run_id_not_null1 NOT NULL,
    content_hash bytea CONSTRAINT raw_api_records_content_hash_not_null1 NOT NULL,
    fetched_at timestamp with time zone
)
WITH (fillfactor='50');

CREATE TABLE public.raw_clock (
    only_one boolean DEFAULT true NOT NULL,
    at timestamp with time zone NOT NULL,
    CONSTRAINT raw_clock_only_one_check CHECK (only_one)
);

CREATE TABLE public.raw_csv_records (
    source text CONSTRAINT raw_api_records_source_not_null1 NOT NULL,
    external_id text CONSTRAINT raw_api_records_external_id_not_null1 NOT NULL,
    payload jsonb CONSTRAINT raw_api_records_payload_not_null1 NOT NULL,
    ingested_at timestamp with time zone CONSTRAINT raw_api_records_ingested_at_not_null1 NOT NULL,
    run_id bigint CONSTRAINT raw_api_records_run_id_not_null1 NOT NULL,
    content_hash bytea CONSTRAINT raw_api_records_content_hash_not_null1 NOT NULL,
    fetched_at timestamp with time zone
)
WITH (fillfactor='50');

CREATE TABLE public.raw_readers (
    source text NOT NULL,
    arrived_from timestamp with time zone NOT NULL,
    code bytea NOT NULL
);

CREATE TABLE public.registry_bodies (
    source text NOT NULL,
    path text NOT NULL,
    hash bytea NOT NULL,
    fetched_at timestamp with time zone NOT NULL,
    size bigint NOT NULL,
    body bytea NOT NULL,
    CONSTRAINT registry_bodies_hash_check CHECK ((octet_length(hash) = 16)),
    CONSTRAINT registry_bodies_size_check CHECK ((size >= 0))
);
ALTER TABLE ONLY public.registry_bodies ALTER COLUMN body SET STORAGE EXTERNAL;

CREATE TABLE public.registry_readings (
    source text NOT NULL,
    part text NOT NULL,
    read_at timestamp with time zone,
    listings bigint DEFAULT 0 NOT NULL,
    addresses bigint DEFAULT 0 NOT NULL,
    notes jsonb DEFAULT '[]'::jsonb NOT NULL,
    due_at timestamp with time zone,
    failures integer DEFAULT 0 NOT NULL,
    error text,
    CONSTRAINT registry_readings_addresses_check CHECK ((addresses >= 0)),
    CONSTRAINT registry_readings_check CHECK (((failures = 0) = (error IS NULL))),
    CONSTRAINT registry_readings_check1 CHECK (((part = ''::text) OR (due_at IS NULL))),
    CONSTRAINT registry_readings_failures_check CHECK ((failures >= 0)),
    CONSTRAINT registry_readings_listings_check CHECK ((listings >= 0)),
    CONSTRAINT registry_readings_notes_check CHECK ((jsonb_typeof(notes) = 'array'::text))
);

CREATE TABLE public.rejected_records (
    id bigint NOT NULL,
    run_id bigint NOT NULL,
    source text NOT NULL,
    external_id text,
    error text NOT NULL,
    payload bytea NOT NULL,
    rejected_at timestamp with time zone NOT NULL,
    body bigint,
    body_offset integer,
    body_length integer
);

ALTER TABLE public.rejected_records ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.rejected_records_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE UNLOGGED TABLE public.reprocess_buckets (
    listing integer NOT NULL,
    "interval" text NOT NULL,
    start timestamp with time zone NOT NULL,
    ends_at timestamp with time zone NOT NULL
);

CREATE UNLOGGED TABLE public.reprocess_candle_changes (
    listing integer NOT NULL,
    "interval" text NOT NULL,
    start timestamp with time zone NOT NULL,
    old_open numeric,
    old_high numeric,
    old_low numeric,
    old_close numeric,
    old_open_at timestamp with time zone,
    old_close_at timestamp with time zone,
    old_samples integer,
    open numeric,
    high numeric,
    low numeric,
    close numeric,
    open_at timestamp with time zone,
    close_at timestamp with time zone,
    samples integer,
    CONSTRAINT reprocess_candle_changes_check CHECK ((num_nonnulls(samples, old_samples) > 0))
);

CREATE UNLOGGED TABLE public.reprocess_coins (
    ticker text NOT NULL,
    record jsonb
);

CREATE UNLOGGED TABLE public.reprocess_job (
    only_one boolean DEFAULT true NOT NULL,
    sources text[] NOT NULL,
    since timestamp with time zone,
    code bytea NOT NULL,
    started_at timestamp with time zone NOT NULL,
    CONSTRAINT reprocess_job_only_one_check CHECK (only_one)
);

CREATE UNLOGGED TABLE public.reprocess_listings (
    source text NOT NULL,
    external_id text NOT NULL,
    ticker text NOT NULL,
    symbol text NOT NULL,
    name text,
    name_words text NOT NULL,
    core_words text NOT NULL,
    rank integer,
    price_usd numeric,
    market_cap_usd numeric,
    volume_24h_usd numeric,
    percent_change_24h numeric,
    circulating_supply numeric,
    total_supply numeric,
    max_supply numeric,
    observed_at timestamp with time zone NOT NULL,
    fetched_at timestamp with time zone NOT NULL,
    content_hash bytea NOT NULL,
    has_own_time boolean DEFAULT true NOT NULL,
    body bigint,
    body_offset integer,
    body_length integer
);

CREATE UNLOGGED TABLE public.reprocess_point_changes (
    listing integer NOT NULL,
    at timestamp with time zone NOT NULL,
    was boolean NOT NULL,
    old_fetched_at timestamp with time zone,
    old_tie integer,
    old_is_held boolean,
    old_price_usd numeric,
    old_market_cap_usd numeric,
    old_volume_24h_usd numeric,
    stays boolean NOT NULL,
    fetched_at timestamp with time zone,
    tie integer,
    is_held boolean,
    price_usd numeric,
    market_cap_usd numeric,
    volume_24h_usd numeric,
    CONSTRAINT reprocess_point_changes_check CHECK ((was OR stays))
);

CREATE UNLOGGED TABLE public.reprocess_progress (
    source text NOT NULL,
    rebuilt boolean NOT NULL,
    read_to timestamp with time zone NOT NULL,
    complete boolean DEFAULT false NOT NULL,
    total bigint DEFAULT 0 NOT NULL,
    processed bigint DEFAULT 0 NOT NULL,
    failed bigint DEFAULT 0 NOT NULL,
    changed bigint DEFAULT 0 NOT NULL,
    body_at timestamp with time zone,
    body bigint
);

CREATE UNLOGGED TABLE public.reprocess_rewritten (
    source text NOT NULL,
    external_id text NOT NULL,
    old_ticker text
);

CREATE UNLOGGED TABLE public.reprocess_versions (
    source text NOT NULL,
    external_id text NOT NULL,
    ingested_at timestamp with time zone NOT NULL,
    content_hash bytea NOT NULL,
    fetched_at timestamp with time zone NOT NULL,
    ticker text,
    observed_at timestamp with time zone,
    price_usd numeric,
    market_cap_usd numeric,
    volume_24h_usd numeric,
    error text,
    rejection_id bigint,
    has_own_time boolean DEFAULT true NOT NULL,
    body bigint,
    body_offset integer,
    body_length integer,
    CONSTRAINT reprocess_versions_check CHECK (((error IS NULL) = (ticker IS NOT NULL))),
    CONSTRAINT reprocess_versions_check1 CHECK (((error IS NULL) = (observed_at IS NOT NULL)))
);

CREATE TABLE public.retention_clock (
    only_one boolean DEFAULT true NOT NULL,
    at timestamp with time zone NOT NULL,
    moved_at timestamp with time zone NOT NULL,
    CONSTRAINT retention_clock_only_one_check CHECK (only_one)
);

CREATE TABLE public.schema_migrations (
    version integer NOT NULL,
    name text NOT NULL,
    content_hash text NOT NULL,
    applied_at timestamp with time zone NOT NULL,
    CONSTRAINT schema_migrations_content_hash_check CHECK ((content_hash ~ '^[0-9a-f]{64}$'::text)),
    CONSTRAINT schema_migrations_version_check CHECK ((version > 0))
);

CREATE TABLE public.source_files (
    source text NOT NULL,
    name text NOT NULL,
    read_at timestamp with time zone,
    report jsonb,
    reading jsonb,
    CONSTRAINT source_files_check CHECK (((read_at IS NULL) = (report IS NULL))),
    CONSTRAINT source_files_check1 CHECK (((report IS NOT NULL) OR (reading IS NOT NULL)))
);

CREATE TABLE public.source_pages (
    source text NOT NULL,
    page_group text NOT NULL,
    number integer NOT NULL,
    external_ids text[] NOT NULL,
    CONSTRAINT source_pages_number_check CHECK ((number >= 0))
);

CREATE TABLE public.sources (
    name text NOT NULL,
    kind text NOT NULL,
    enabled boolean NOT NULL,
    priority integer NOT NULL,
    poll_seconds integer NOT NULL,
    consecutive_failures integer DEFAULT 0 NOT NULL,
    next_run_at timestamp with time zone,
    CONSTRAINT sources_consecutive_failures_check CHECK ((consecutive_failures >= 0)),
    CONSTRAINT sources_kind_check CHECK ((kind = ANY (ARRAY['api'::text, 'file'::text, 'stream'::text]))),
    CONSTRAINT sources_name_check CHECK ((name ~ '^[a-z][a-z0-9-]{0,62}$'::text)),
    CONSTRAINT sources_poll_seconds_check CHECK ((poll_seconds > 0))
);

CREATE TABLE public.stream_gaps (
    id bigint NOT NULL,
    source text NOT NULL,
    symbol text,
    began_at timestamp with time zone NOT NULL,
    ended_at timestamp with time zone NOT NULL,
    reason text NOT NULL,
    noticed_at timestamp with time zone NOT NULL,
    CONSTRAINT stream_gaps_check CHECK ((ended_at >= began_at)),
    CONSTRAINT stream_gaps_reason_check CHECK ((reason = ANY (ARRAY['reconnect'::text, 'sequence'::text, 'silence'::text, 'overload'::text, 'planned_cut'::text, 'malformed'::text]))),
    CONSTRAINT stream_gaps_source_check CHECK ((source <> ''::text)),
    CONSTRAINT stream_gaps_symbol_check CHECK ((symbol <> ''::text))
);

ALTER TABLE public.stream_gaps ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.stream_gaps_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.stream_segments (
    venue text NOT NULL,
    segment bigint NOT NULL,
    first_at timestamp with time zone NOT NULL,
    last_at timestamp with time zone NOT NULL,
    frames integer NOT NULL,
    size bigint NOT NULL,
    sha256 bytea NOT NULL,
    content bytea NOT NULL,
    CONSTRAINT stream_segments_check CHECK ((last_at >= first_at)),
    CONSTRAINT stream_segments_frames_check CHECK ((frames > 0)),
    CONSTRAINT stream_segments_sha256_check CHECK ((octet_length(sha256) = 32)),
    CONSTRAINT stream_segments_size_check CHECK ((size > 0)),
    CONSTRAINT stream_segments_venue_check CHECK ((venue <> ''::text))
);
ALTER TABLE ONLY public.stream_segments ALTER COLUMN content SET STORAGE EXTERNAL;

CREATE TABLE public.stream_states (
    source text NOT NULL,
    state text NOT NULL,
    problem text,
    started_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    last_message_at timestamp with time zone,
    messages bigint NOT NULL,
    messages_per_second real NOT NULL,
    reconnects bigint NOT NULL,
    gaps bigint NOT NULL,
    CONSTRAINT stream_states_gaps_check CHECK ((gaps >= 0)),
    CONSTRAINT stream_states_messages_check CHECK ((messages >= 0)),
    CONSTRAINT stream_states_messages_per_second_check CHECK ((messages_per_second >= (0)::double precision)),
    CONSTRAINT stream_states_problem_check CHECK ((problem <> ''::text)),
    CONSTRAINT stream_states_reconnects_check CHECK ((reconnects >= 0)),
    CONSTRAINT stream_states_source_check CHECK ((source <> ''::text)),
    CONSTRAINT stream_states_state_check CHECK ((state = ANY (ARRAY['live'::text, 'partial'::text, 'down'::text])))
)
WITH (fillfactor='50');

CREATE TABLE public.thinned_partitions (
    partition text NOT NULL,
    ends_at timestamp with time zone NOT NULL,
    hours smallint NOT NULL,
    done_to integer DEFAULT 0 NOT NULL,
    removed bigint DEFAULT 0 NOT NULL,
    is_compact boolean DEFAULT false NOT NULL,
    CONSTRAINT thinned_partitions_hours_check CHECK ((hours = ANY (ARRAY[1, 24])))
);

CREATE TABLE public.ticker_bridges (
    proof text NOT NULL,
    ticker text NOT NULL
);

ALTER TABLE ONLY public.bodies ATTACH PARTITION public.bodies_default DEFAULT;

ALTER TABLE ONLY public.candles ATTACH PARTITION public.candles_default DEFAULT;

ALTER TABLE ONLY public.price_points ATTACH PARTITION public.price_points_default DEFAULT;

ALTER TABLE ONLY public.listings ALTER COLUMN id SET DEFAULT nextval('public.listing_ids'::regclass);

ALTER TABLE ONLY public.address_groups
    ADD CONSTRAINT address_groups_pkey PRIMARY KEY (source, external_id);

ALTER TABLE ONLY public.api_calls
    ADD CONSTRAINT api_calls_pkey PRIMARY KEY (source, month);

ALTER TABLE ONLY public.backfills
    ADD CONSTRAINT backfills_pkey PRIMARY KEY (source, days, external_id);

ALTER TABLE ONLY public.bodies
    ADD CONSTRAINT bodies_pkey PRIMARY KEY (arrived_at, id);

ALTER TABLE ONLY public.bodies_default
    ADD CONSTRAINT bodies_default_pkey PRIMARY KEY (arrived_at, id);

ALTER TABLE ONLY public.candles
    ADD CONSTRAINT candles_pkey PRIMARY KEY (listing, "interval", start);

ALTER TABLE ONLY public.candles_default
    ADD CONSTRAINT candles_default_pkey PRIMARY KEY (listing, "interval", start);

ALTER TABLE ONLY public.consensus
    ADD CONSTRAINT consensus_pkey PRIMARY KEY (asset);

ALTER TABLE ONLY public.demo
    ADD CONSTRAINT demo_pkey PRIMARY KEY (only_one);

ALTER TABLE ONLY public.etl_checkpoints
    ADD CONSTRAINT etl_checkpoints_pkey PRIMARY KEY (source);

ALTER TABLE ONLY public.etl_requests
    ADD CONSTRAINT etl_requests_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.etl_runs
    ADD CONSTRAINT etl_runs_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.events
    ADD CONSTRAINT events_pkey PRIMARY KEY (seq);

ALTER TABLE ONLY public.former_tickers
    ADD CONSTRAINT former_tickers_pkey PRIMARY KEY (source, external_id, ticker);

ALTER TABLE ONLY public.identities
    ADD CONSTRAINT identities_pkey PRIMARY KEY (source, external_id);

ALTER TABLE ONLY public.listing_addresses
    ADD CONSTRAINT listing_addresses_pkey PRIMARY KEY (source, external_id, chain, address);

ALTER TABLE ONLY public.listings
    ADD CONSTRAINT listings_pkey PRIMARY KEY (source, external_id);

ALTER TABLE ONLY public.logins
    ADD CONSTRAINT logins_pkey PRIMARY KEY (part);

ALTER TABLE ONLY public.loop_problems
    ADD CONSTRAINT loop_problems_pkey PRIMARY KEY (loop);

ALTER TABLE ONLY public.markets
    ADD CONSTRAINT markets_pkey PRIMARY KEY (venue, symbol);

ALTER TABLE ONLY public.normalized_records
    ADD CONSTRAINT normalized_records_pkey PRIMARY KEY (ticker);

ALTER TABLE ONLY public.price_points
    ADD CONSTRAINT price_points_pkey PRIMARY KEY (listing, at);

ALTER TABLE ONLY public.price_points_default
    ADD CONSTRAINT price_points_default_pkey PRIMARY KEY (listing, at);

ALTER TABLE ONLY public.raw_api_records
    ADD CONSTRAINT raw_api_records_pkey PRIMARY KEY (source, external_id);

ALTER TABLE ONLY public.raw_clock
    ADD CONSTRAINT raw_clock_pkey PRIMARY KEY (only_one);

ALTER TABLE ONLY public.raw_csv_records
    ADD CONSTRAINT raw_csv_records_pkey PRIMARY KEY (source, external_id);

ALTER TABLE ONLY public.raw_readers
    ADD CONSTRAINT raw_readers_pkey PRIMARY KEY (source, arrived_from);

ALTER TABLE ONLY public.registry_bodies
    ADD CONSTRAINT registry_bodies_pkey PRIMARY KEY (source, path, hash);

ALTER TABLE ONLY public.registry_readings
    ADD CONSTRAINT registry_readings_pkey PRIMARY KEY (source, part);

ALTER TABLE ONLY public.rejected_records
    ADD CONSTRAINT rejected_records_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.reprocess_buckets
    ADD CONSTRAINT reprocess_buckets_pkey PRIMARY KEY (listing, "interval", start);

ALTER TABLE ONLY public.reprocess_candle_changes
    ADD CONSTRAINT reprocess_candle_changes_pkey PRIMARY KEY (listing, "interval", start);

ALTER TABLE ONLY public.reprocess_coins
    ADD CONSTRAINT reprocess_coins_pkey PRIMARY KEY (ticker);

ALTER TABLE ONLY public.reprocess_job
    ADD CONSTRAINT reprocess_job_pkey PRIMARY KEY (only_one);

ALTER TABLE ONLY public.reprocess_listings
    ADD CONSTRAINT reprocess_listings_pkey PRIMARY KEY (source, external_id);

ALTER TABLE ONLY public.reprocess_point_changes
    ADD CONSTRAINT reprocess_point_changes_pkey PRIMARY KEY (listing, at);

ALTER TABLE ONLY public.reprocess_progress
    ADD CONSTRAINT reprocess_progress_pkey PRIMARY KEY (source);

ALTER TABLE ONLY public.reprocess_rewritten
    ADD CONSTRAINT reprocess_rewritten_pkey PRIMARY KEY (source, external_id);

ALTER TABLE ONLY public.reprocess_versions
    ADD CONSTRAINT reprocess_versions_pkey PRIMARY KEY (source, external_id, ingested_at, content_hash);

ALTER TABLE ONLY public.retention_clock
    ADD CONSTRAINT retention_clock_pkey PRIMARY KEY (only_one);

ALTER TABLE ONLY public.schema_migrations
    ADD CONSTRAINT schema_migrations_pkey PRIMARY KEY (version);

ALTER TABLE ONLY public.source_files
    ADD CONSTRAINT source_files_pkey PRIMARY KEY (source, name);

ALTER TABLE ONLY public.source_pages
    ADD CONSTRAINT source_pages_pkey PRIMARY KEY (source, page_group, number);

ALTER TABLE ONLY public.sources
    ADD CONSTRAINT sources_pkey PRIMARY KEY (name);

ALTER TABLE ONLY public.stream_gaps
    ADD CONSTRAINT stream_gaps_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.stream_segments
    ADD CONSTRAINT stream_segments_pkey PRIMARY KEY (venue, segment);

ALTER TABLE ONLY public.stream_states
    ADD CONSTRAINT stream_states_pkey PRIMARY KEY (source);

ALTER TABLE ONLY public.thinned_partitions
    ADD CONSTRAINT thinned_partitions_pkey PRIMARY KEY (partition);

ALTER TABLE ONLY public.ticker_bridges
    ADD CONSTRAINT ticker_bridges_pkey PRIMARY KEY (proof, ticker);

CREATE INDEX address_groups_by_group ON public.address_groups USING btree (address_group);

CREATE INDEX bodies_by_fetch ON ONLY public.bodies USING btree (source, fetched_at);

CREATE INDEX bodies_by_id ON ONLY public.bodies USING btree (id);

CREATE INDEX bodies_by_page ON ONLY public.bodies USING btree (source, page_group, page_number, arrived_at);

CREATE INDEX bodies_default_id_idx ON public.bodies_default USING btree (id);

CREATE INDEX bodies_default_source_fetched_at_idx ON public.bodies_default USING btree (source, fetched_at);

CREATE INDEX bodies_default_source_page_group_page_number_arrived_at_idx ON public.bodies_default USING btree (source, page_group, page_number, arrived_at);

CREATE INDEX etl_requests_open ON public.etl_requests USING btree (id) WHERE (status <> 'done'::text);

CREATE INDEX etl_runs_by_finish ON public.etl_runs USING btree (finished_at DESC NULLS LAST, id DESC);

CREATE INDEX etl_runs_by_source ON public.etl_runs USING btree (source, id DESC);

CREATE INDEX etl_runs_of_request ON public.etl_runs USING btree (request_id) WHERE (request_id IS NOT NULL);

CREATE INDEX etl_runs_running ON public.etl_runs USING btree (source) WHERE (status = 'running'::text);

CREATE INDEX events_by_time ON public.events USING btree (at);

CREATE INDEX former_tickers_by_ticker ON public.former_tickers USING btree (ticker);

CREATE INDEX listing_addresses_by_address ON public.listing_addresses USING btree (chain, address);

CREATE INDEX listings_by_asset ON public.listings USING btree (asset) WHERE (asset IS NOT NULL);

CREATE UNIQUE INDEX listings_by_id ON public.listings USING btree (id);

CREATE INDEX listings_by_ticker ON public.listings USING btree (ticker);

CREATE INDEX listings_missing ON public.listings USING btree (source) WHERE (missing_since IS NOT NULL);

CREATE INDEX markets_by_asset ON public.markets USING btree (asset, venue, symbol) WHERE (asset IS NOT NULL);

CREATE INDEX markets_by_base ON public.markets USING btree (base, venue, symbol);

CREATE INDEX normalized_records_by_market_cap ON public.normalized_records USING btree (market_cap_usd DESC NULLS LAST, ticker, stale_at);

CREATE INDEX normalized_records_by_odd_id ON public.normalized_records USING btree (id) WHERE (ticker <> upper(lower(ticker)));

CREATE INDEX normalized_records_disputed ON public.normalized_records USING btree (market_cap_usd DESC NULLS LAST, ticker) WHERE ((rival_count > 0) OR COALESCE((price_spread_percent > (3)::double precision), false));

CREATE INDEX rejected_records_of_run ON public.rejected_records USING btree (run_id, id);

CREATE INDEX stream_gaps_by_end ON public.stream_gaps USING btree (source, ended_at, began_at);

CREATE INDEX stream_segments_by_time ON public.stream_segments USING btree (last_at);

CREATE INDEX ticker_bridges_by_ticker ON public.ticker_bridges USING btree (ticker);

ALTER INDEX public.bodies_by_id ATTACH PARTITION public.bodies_default_id_idx;

ALTER INDEX public.bodies_pkey ATTACH PARTITION public.bodies_default_pkey;

ALTER INDEX public.bodies_by_fetch ATTACH PARTITION public.bodies_default_source_fetched_at_idx;

ALTER INDEX public.bodies_by_page ATTACH PARTITION public.bodies_default_source_page_group_page_number_arrived_at_idx;

ALTER INDEX public.candles_pkey ATTACH PARTITION public.candles_default_pkey;

ALTER INDEX public.price_points_pkey ATTACH PARTITION public.price_points_default_pkey;

ALTER TABLE ONLY public.etl_runs
    ADD CONSTRAINT etl_runs_request_id_fkey FOREIGN KEY (request_id) REFERENCES public.etl_requests(id);

ALTER TABLE ONLY public.rejected_records
    ADD CONSTRAINT rejected_records_run_id_fkey FOREIGN KEY (run_id) REFERENCES public.etl_runs(id) ON DELETE CASCADE;

GRANT USAGE ON SCHEMA public TO kasparro_server;

REVOKE ALL ON FUNCTION public.compact_partition(parent text, name text) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.create_partition(parent text, name text, starts_at timestamp with time zone, ends_at timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.detach_partition(parent text, name text) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.drop_detached_partition(parent text, name text) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.drop_empty_partition(parent text, name text) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.drop_former_history() FROM PUBLIC;

REVOKE ALL ON FUNCTION public.drop_former_payloads() FROM PUBLIC;

GRANT SELECT ON TABLE public.address_groups TO kasparro_server;

GRANT SELECT ON TABLE public.api_calls TO kasparro_server;

GRANT SELECT ON TABLE public.backfills TO kasparro_server;

GRANT SELECT ON TABLE public.bodies TO kasparro_server;

GRANT SELECT ON TABLE public.bodies_default TO kasparro_server;

GRANT SELECT ON TABLE public.candles TO kasparro_server;

GRANT SELECT ON TABLE public.candles_default TO kasparro_server;

GRANT SELECT ON TABLE public.consensus TO kasparro_server;

GRANT SELECT ON TABLE public.demo TO kasparro_server;

GRANT SELECT ON TABLE public.etl_checkpoints TO kasparro_server;

GRANT SELECT ON TABLE public.etl_requests TO kasparro_server;

GRANT INSERT(sources) ON TABLE public.etl_requests TO kasparro_server;

GRANT INSERT(full_run) ON TABLE public.etl_requests TO kasparro_server;

GRANT SELECT ON TABLE public.etl_runs TO kasparro_server;

GRANT SELECT ON TABLE public.events TO kasparro_server;

GRANT SELECT ON TABLE public.former_tickers TO kasparro_server;

GRANT SELECT ON TABLE public.identities TO kasparro_server;

GRANT SELECT ON TABLE public.listing_addresses TO kasparro_server;

GRANT SELECT ON TABLE public.listings TO kasparro_server;

GRANT SELECT ON TABLE public.loop_problems TO kasparro_server;

GRANT SELECT ON TABLE public.markets TO kasparro_server;

GRANT SELECT ON TABLE public.normalized_records TO kasparro_server;

GRANT SELECT ON TABLE public.price_points TO kasparro_server;

GRANT SELECT ON TABLE public.price_points_default TO kasparro_server;

GRANT SELECT ON TABLE public.raw_api_records TO kasparro_server;

GRANT SELECT ON TABLE public.raw_clock TO kasparro_server;

GRANT SELECT ON TABLE public.raw_csv_records TO kasparro_server;

GRANT SELECT ON TABLE public.raw_readers TO kasparro_server;

GRANT SELECT ON TABLE public.registry_bodies TO kasparro_server;

GRANT SELECT ON TABLE public.registry_readings TO kasparro_server;

GRANT SELECT ON TABLE public.rejected_records TO kasparro_server;

GRANT SELECT ON TABLE public.reprocess_buckets TO kasparro_server;

GRANT SELECT ON TABLE public.reprocess_candle_changes TO kasparro_server;

GRANT SELECT ON TABLE public.reprocess_coins TO kasparro_server;

GRANT SELECT ON TABLE public.reprocess_job TO kasparro_server;

GRANT SELECT ON TABLE public.reprocess_listings TO kasparro_server;

GRANT SELECT ON TABLE public.reprocess_point_changes TO kasparro_server;

GRANT SELECT ON TABLE public.reprocess_progress TO kasparro_server;

GRANT SELECT ON TABLE public.reprocess_rewritten TO kasparro_server;

GRANT SELECT ON TABLE public.reprocess_versions TO kasparro_server;

GRANT SELECT ON TABLE public.retention_clock TO kasparro_server;

GRANT SELECT ON TABLE public.schema_migrations TO kasparro_server;

GRANT SELECT ON TABLE public.source_files TO kasparro_server;

GRANT SELECT ON TABLE public.source_pages TO kasparro_server;

GRANT SELECT ON TABLE public.sources TO kasparro_server;

GRANT SELECT ON TABLE public.stream_gaps TO kasparro_server;

GRANT SELECT ON TABLE public.stream_segments TO kasparro_server;

GRANT SELECT ON TABLE public.stream_states TO kasparro_server;

GRANT SELECT ON TABLE public.thinned_partitions TO kasparro_server;

GRANT SELECT ON TABLE public.ticker_bridges TO kasparro_server;

ALTER DEFAULT PRIVILEGES FOR ROLE postgres IN SCHEMA public GRANT SELECT ON TABLES TO kasparro_server;
