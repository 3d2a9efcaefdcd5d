-- What a run left out, read with a doubt or could not date: SUCCESS with notes is not silent.
ALTER TABLE etl_runs
    ADD COLUMN notes jsonb DEFAULT '[]' NOT NULL CHECK (jsonb_typeof(notes) = 'array'),
    ADD COLUMN note_count bigint DEFAULT 0 NOT NULL CHECK (note_count >= 0);

-- A record that does not say when it was observed is dated by its file: it never counts before one that does say.
ALTER TABLE listings ADD COLUMN has_own_time boolean DEFAULT true NOT NULL;
ALTER TABLE reprocess_versions ADD COLUMN has_own_time boolean DEFAULT true NOT NULL;
ALTER TABLE reprocess_listings ADD COLUMN has_own_time boolean DEFAULT true NOT NULL;
