-- What it takes to disbelieve: a source that suddenly lacks most of its listings, and a clock that jumps.

-- A page of the sweep under way came empty that held records before.
ALTER TABLE etl_checkpoints ADD COLUMN sweep_emptied boolean NOT NULL DEFAULT false;
-- How many complete sweeps in a row lacked so much that nothing was ended.
ALTER TABLE etl_checkpoints ADD COLUMN doubted_sweeps integer NOT NULL DEFAULT 0 CHECK (doubted_sweeps >= 0);

-- The time that retention goes by. It follows the database's clock, and a jump of that clock counts as one day at most.
CREATE TABLE retention_clock (
    only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    at       timestamptz NOT NULL,
    -- When it was last moved on, by the database's clock.
    moved_at timestamptz NOT NULL
);
-- A database that was in use tells by its newest run what time it was: its clock may be wrong just now.
INSERT INTO retention_clock (at, moved_at)
SELECT at, at FROM (SELECT coalesce(max(started_at), clock_timestamp()) AS at FROM etl_runs) AS newest;

-- Which loop of an ingestor cannot go on just now, and why; health and status tell of those that are young.
CREATE TABLE loop_problems (
    loop    text PRIMARY KEY,
    problem text NOT NULL,
    since   timestamptz NOT NULL,
    at      timestamptz NOT NULL
);

-- What a killed ingestor left running is looked for every few seconds.
CREATE INDEX etl_runs_running ON etl_runs (source) WHERE status = 'running';
