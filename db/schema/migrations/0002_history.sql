-- History: price points by week, and candles by hour and day kept beside them.

-- A roll-up of a ticker's points; open_at and close_at make late points land right, whatever the order of arrival.
CREATE TABLE candles (
    ticker   text NOT NULL,
    interval text NOT NULL CHECK (interval IN ('H1', 'D1')),
    start    timestamptz NOT NULL,
    open     numeric NOT NULL,
    high     numeric NOT NULL,
    low      numeric NOT NULL,
    close    numeric NOT NULL,
    open_at  timestamptz NOT NULL,
    close_at timestamptz NOT NULL,
    samples  integer NOT NULL CHECK (samples > 0),
    PRIMARY KEY (ticker, interval, start),
    CHECK (low <= least(open, close) AND high >= greatest(open, close)),
    CHECK (start <= open_at AND open_at <= close_at)
) PARTITION BY RANGE (start);
CREATE TABLE candles_default PARTITION OF candles DEFAULT;
