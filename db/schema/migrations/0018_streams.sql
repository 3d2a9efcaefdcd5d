-- Live markets: what the streams of exchanges said last, where ticks may be missing, and the frames as they came.

ALTER TABLE sources DROP CONSTRAINT sources_kind_check,
    ADD CONSTRAINT sources_kind_check CHECK (kind IN ('api', 'file', 'stream'));

CREATE TABLE markets (
    venue            text        NOT NULL CHECK (venue <> ''),
    symbol           text        NOT NULL CHECK (symbol <> ''),
    base             text        NOT NULL,
    quote            text        NOT NULL,
    -- The venue's own word for the state of the market, and what it means.
    status           text        NOT NULL,
    is_trading       boolean     NOT NULL,
    -- `source:external_id` of the listing that names the asset; null where the market is not mapped.
    asset            text        CHECK (asset <> ''),
    asset_reason     text        CHECK (asset_reason IN (
        'label', 'owner', 'rival', 'no_candidate', 'no_price', 'no_agreement', 'ambiguous'
    )),
    price            numeric     CHECK (price > 0),
    -- Null where the quote has no consensus.
    price_usd        numeric     CHECK (price_usd > 0),
    volume_24h_base  numeric     CHECK (volume_24h_base >= 0),
    volume_24h_quote numeric     CHECK (volume_24h_quote >= 0),
    -- The venue's clock.
    observed_at      timestamptz,
    -- The frame that the price came in: a segment of the venue, and the frame's place in it from 0.
    segment          bigint,
    frame            integer     CHECK (frame >= 0),
    listed_at        timestamptz NOT NULL,
    PRIMARY KEY (venue, symbol),
    CHECK ((price IS NULL) = (observed_at IS NULL)),
    CHECK (price IS NOT NULL OR price_usd IS NULL),
    CHECK ((segment IS NULL) = (frame IS NULL)),
    CHECK (asset IS NULL OR asset_reason IN ('label', 'owner', 'rival'))
);
CREATE INDEX markets_by_asset ON markets (asset, venue, symbol) WHERE asset IS NOT NULL;
CREATE INDEX markets_by_base ON markets (base, venue, symbol);

-- Where ticks may be missing, by the venue's clock, both ends included.
CREATE TABLE stream_gaps (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source     text        NOT NULL CHECK (source <> ''),
    -- Null for any market of the venue.
    symbol     text        CHECK (symbol <> ''),
    began_at   timestamptz NOT NULL,
    ended_at   timestamptz NOT NULL,
    reason     text        NOT NULL CHECK (reason IN (
        'reconnect', 'sequence', 'silence', 'overload', 'planned_cut', 'malformed'
    )),
    noticed_at timestamptz NOT NULL,
    CHECK (ended_at >= began_at)
);
CREATE INDEX stream_gaps_by_end ON stream_gaps (source, ended_at, began_at);

-- The frames of a venue over a stretch of our time, compressed; see ingestor/streams/segments.py.
CREATE TABLE stream_segments (
    venue    text        NOT NULL CHECK (venue <> ''),
    -- When its first frame arrived, in nanoseconds since 1970: the key that markets name.
    segment  bigint      NOT NULL,
    first_at timestamptz NOT NULL,
    last_at  timestamptz NOT NULL,
    frames   integer     NOT NULL CHECK (frames > 0),
    size     bigint      NOT NULL CHECK (size > 0),
    -- Of the uncompressed bytes.
    sha256   bytea       NOT NULL CHECK (octet_length(sha256) = 32),
    content  bytea       NOT NULL,
    PRIMARY KEY (venue, segment),
    CHECK (last_at >= first_at)
);
-- It is compressed already.
ALTER TABLE stream_segments ALTER COLUMN content SET STORAGE EXTERNAL;
CREATE INDEX stream_segments_by_time ON stream_segments (last_at);

-- The consensus price of each asset that has a market, and what each market contributes to it.
CREATE TABLE consensus (
    -- As in markets: `source:external_id` of the listing that names the asset.
    asset          text        PRIMARY KEY CHECK (asset <> ''),
    -- Null below the quorum.
    price_usd      numeric     CHECK (price_usd > 0),
    confidence_usd numeric     CHECK (confidence_usd >= 0),
    volume_24h_usd numeric     NOT NULL CHECK (volume_24h_usd >= 0),
    venues         integer     NOT NULL CHECK (venues >= 0),
    -- The newest venue's time among the markets that count.
    observed_at    timestamptz,
    computed_at    timestamptz NOT NULL,
    -- An array of the contributions: see ingestor/streams/publishing.py.
    contributions  json        NOT NULL,
    CHECK ((price_usd IS NULL) = (confidence_usd IS NULL)),
    CHECK ((price_usd IS NULL) = (observed_at IS NULL))
) WITH (fillfactor = 50);

-- What is known of each stream that an ingestor follows; its source is a row of `sources`.
CREATE TABLE stream_states (
    source              text        PRIMARY KEY CHECK (source <> ''),
    state               text        NOT NULL CHECK (state IN ('live', 'partial', 'down')),
    -- Why it is not live.
    problem             text        CHECK (problem <> ''),
    started_at          timestamptz NOT NULL,
    updated_at          timestamptz NOT NULL,
    last_message_at     timestamptz,
    messages            bigint      NOT NULL CHECK (messages >= 0),
    messages_per_second real        NOT NULL CHECK (messages_per_second >= 0),
    reconnects          bigint      NOT NULL CHECK (reconnects >= 0),
    gaps                bigint      NOT NULL CHECK (gaps >= 0)
) WITH (fillfactor = 50);
