-- Assets: listings that are one token, across tickers; belief in values by a listing's own past.

-- An earlier observation of a listing, as far as belief needs it.
CREATE TYPE observation AS (
    at             timestamptz,
    fetched_at     timestamptz,
    price_usd      numeric,
    market_cap_usd numeric,
    volume_24h_usd numeric
);

ALTER TABLE listings
    -- The two observations before the present one, the newest first.
    ADD COLUMN before observation[] DEFAULT '{}' NOT NULL CHECK (cardinality(before) <= 2),
    -- `source:external_id` of the listing that names its asset; null where that is itself.
    ADD COLUMN asset text CHECK (asset <> '');
CREATE INDEX listings_by_asset ON listings (asset) WHERE asset IS NOT NULL;

ALTER TABLE normalized_records
    -- The asset that owns the ticker; null until the first merge after 0.1.0.
    ADD COLUMN asset text CHECK (asset <> ''),
    -- 0 to 1 (docs/IDENTITY.md); null until the first merge after 0.1.0.
    ADD COLUMN confidence numeric CHECK (confidence BETWEEN 0 AND 1),
    ADD COLUMN is_suspect boolean DEFAULT false NOT NULL,
    -- [{"source", "external_id", "field", "value", "reason", "observed_at"}, ...]; null where nothing is left out.
    ADD COLUMN excluded jsonb CHECK (jsonb_typeof(excluded) = 'array');

ALTER TABLE identities
    ALTER COLUMN asset DROP NOT NULL,
    -- The operator's word: this listing's asset owns its ticker; this listing counts for nothing.
    ADD COLUMN is_owner boolean DEFAULT false NOT NULL,
    ADD COLUMN is_banned boolean DEFAULT false NOT NULL,
    ADD CHECK (NOT (is_owner AND is_banned)),
    ADD CHECK (asset IS NOT NULL OR is_owner OR is_banned);

-- The tickers that one token has at several sources. `proof` is 'g' and an address group, or 'l' and a label. Only
-- proofs with two tickers and more stand here, so that a merge finds the other tickers of an asset in a small table.
CREATE TABLE ticker_bridges (
    proof  text NOT NULL,
    ticker text NOT NULL,
    PRIMARY KEY (proof, ticker)
);
CREATE INDEX ticker_bridges_by_ticker ON ticker_bridges (ticker);

-- Under which tickers a listing was known before its source renamed it.
CREATE TABLE former_tickers (
    source      text NOT NULL,
    external_id text NOT NULL,
    ticker      text NOT NULL,
    -- The last observation under this ticker; a correction of that observation does not take it back.
    until       timestamptz NOT NULL,
    PRIMARY KEY (source, external_id, ticker)
);
CREATE INDEX former_tickers_by_ticker ON former_tickers (ticker);

-- "old" tells two assets apart: it marks a copy.
UPDATE listings AS l SET core_words = coalesce(
    (
        SELECT string_agg(word, ' ' ORDER BY place)
        FROM unnest(string_to_array(l.name_words, ' ')) WITH ORDINALITY AS w (word, place)
        WHERE word NOT IN ('token', 'coin', 'network', 'protocol', 'dao', 'finance', 'chain', 'hub', 'the')
    ),
    l.name_words
)
WHERE 'old' = ANY (string_to_array(l.name_words, ' '));
