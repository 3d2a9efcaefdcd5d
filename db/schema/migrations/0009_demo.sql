-- A row says that the prices in this database are made up: the demo's supervisor writes it, nothing takes it away.
-- It lies beside the prices, so that whatever serves or exports them says so, however it was started.
CREATE TABLE demo (
    only_one  boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    marked_at timestamptz NOT NULL DEFAULT now()
);
