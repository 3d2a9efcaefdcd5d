-- Most coins are written anew at each poll: what a row and its indexes cost, they cost each time.

-- A coin of which one listing gave every field says so once, not for each field.
UPDATE normalized_records AS r SET provenance = (r.provenance -> 0) - 'field'
WHERE jsonb_array_length(r.provenance) > 0
  AND NOT EXISTS (
    SELECT FROM jsonb_array_elements(r.provenance) AS entry WHERE entry - 'field' <> (r.provenance -> 0) - 'field'
  );
COMMENT ON COLUMN normalized_records.provenance IS
    'One giver of all fields, {"source", "external_id", "observed_at"}; else [{"field", "source", ...}, ...]';

-- An id is found by the ticker that it is made of, without an index of its own. Only where the small letters of a ticker
-- do not lead back to it an index must tell; there two tickers may even share an id, which is no reason to lose one.
ALTER TABLE normalized_records DROP CONSTRAINT normalized_records_id_key;
CREATE INDEX normalized_records_by_odd_id ON normalized_records (id) WHERE ticker <> upper(lower(ticker));
