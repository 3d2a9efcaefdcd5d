-- The registry of contract addresses: where each listing's token lives, and which listings are one token by it.

-- An address of a listing, in the normal form of its chain (common/chains.py). A row may be there before its listing is,
-- and after it: what a source says of an id is a fact of its own.
CREATE TABLE listing_addresses (
    source      text NOT NULL,
    external_id text NOT NULL,
    chain       text NOT NULL CHECK (chain <> ''),
    address     text NOT NULL CHECK (address <> ''),
    -- The source says that the contract is in use; only such addresses link listings.
    active      boolean DEFAULT true NOT NULL,
    -- When a body of the source had it last.
    seen_at     timestamptz NOT NULL,
    PRIMARY KEY (source, external_id, chain, address)
);
CREATE INDEX listing_addresses_by_address ON listing_addresses (chain, address);

-- Of each listing key with an active address: the set of keys that are one token by their addresses, named after the
-- smallest `chain:address` in it. It is a pure function of listing_addresses (ingestor/registry/groups.py).
CREATE TABLE address_groups (
    source        text NOT NULL,
    external_id   text NOT NULL,
    address_group text NOT NULL CHECK (address_group <> ''),
    -- The chains on which this key itself has an active address, sorted.
    chains        text[] NOT NULL CHECK (cardinality(chains) > 0),
    PRIMARY KEY (source, external_id)
);
CREATE INDEX address_groups_by_group ON address_groups (address_group);

-- The last reading of a source's registry (part ''), and of each body of it (part: its path).
CREATE TABLE registry_readings (
    source    text NOT NULL,
    part      text NOT NULL,
    -- Of the last reading that succeeded; null before the first one.
    read_at   timestamptz,
    listings  bigint DEFAULT 0 NOT NULL CHECK (listings >= 0),
    addresses bigint DEFAULT 0 NOT NULL CHECK (addresses >= 0),
    notes     jsonb DEFAULT '[]' NOT NULL CHECK (jsonb_typeof(notes) = 'array'),
    -- When the whole registry is read next; null is at once. A part has none.
    due_at    timestamptz,
    -- Readings in a row that failed, and why the last one did.
    failures  integer DEFAULT 0 NOT NULL CHECK (failures >= 0),
    error     text,
    PRIMARY KEY (source, part),
    CHECK ((failures = 0) = (error IS NULL)),
    CHECK (part = '' OR due_at IS NULL)
);

-- The bodies byte for byte, packed with zstd: of each path the newest two that differ.
CREATE TABLE registry_bodies (
    source     text NOT NULL,
    path       text NOT NULL,
    -- BLAKE2b of the body as it came, 16 bytes.
    hash       bytea NOT NULL CHECK (octet_length(hash) = 16),
    -- When it came last.
    fetched_at timestamptz NOT NULL,
    size       bigint NOT NULL CHECK (size >= 0),
    body       bytea NOT NULL,
    PRIMARY KEY (source, path, hash)
);
-- It is packed already.
ALTER TABLE registry_bodies ALTER COLUMN body SET STORAGE EXTERNAL;
