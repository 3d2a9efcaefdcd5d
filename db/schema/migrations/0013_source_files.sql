-- How each file of a source was read, for people: what it is, which column is read as what, its first rows.
CREATE TABLE source_files (
    source  text NOT NULL,
    name    text NOT NULL,
    -- Of the last reading that came to the file's end; both are null while the first one is under way.
    read_at timestamptz,
    report  jsonb,
    -- Of a reading under way: what is known of it before its last page.
    reading jsonb,
    PRIMARY KEY (source, name),
    CHECK ((read_at IS NULL) = (report IS NULL)),
    CHECK (report IS NOT NULL OR reading IS NOT NULL)
);
