-- Backfill: how far the reading of a source's past got, and how many calls of the month a source has had.

-- The last question about each coin's past: `days` days up to the UTC day `window_end`. All questions of a backfill are
-- written down before the first is asked, so that what is pending tells an unfinished one from a finished one.
CREATE TABLE backfills (
    source      text NOT NULL,
    days        integer NOT NULL CHECK (days > 0),
    external_id text NOT NULL,
    window_end  date NOT NULL,
    outcome     text NOT NULL DEFAULT 'pending' CHECK (outcome IN ('pending', 'filled', 'missing', 'unreadable')),
    -- Points that history did not hold before.
    points      integer NOT NULL DEFAULT 0 CHECK (points >= 0),
    answered_at timestamptz,
    PRIMARY KEY (source, days, external_id),
    CHECK (points = 0 OR outcome = 'filled'),
    CHECK ((answered_at IS NULL) = (outcome = 'pending'))
);

-- Calls made to a source with a monthly budget, polls and backfills together; a month begins on its first day, in UTC.
CREATE TABLE api_calls (
    source text NOT NULL,
    month  date NOT NULL CHECK (extract(day FROM month) = 1),
    calls  bigint NOT NULL CHECK (calls >= 0),
    PRIMARY KEY (source, month)
);

-- Coins in dispute (rivals, or fresh prices more than 3 % apart) are few: this is all of them, by market cap. The
-- words are those of the filter in db/read/coins.py, so that the planner knows it again.
CREATE INDEX normalized_records_disputed ON normalized_records (market_cap_usd DESC NULLS LAST, ticker)
    WHERE rival_count > 0 OR coalesce(price_spread_percent > 3, false);
