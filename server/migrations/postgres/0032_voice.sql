-- Handsets that speak and hear keys.
ALTER TABLE handsets ADD COLUMN capabilities TEXT;          -- what it last said that it can do, with commas between; NULL: it never said
ALTER TABLE dials ADD COLUMN asks_key BOOLEAN NOT NULL DEFAULT FALSE;    -- whoever picks up is asked for a key
ALTER TABLE dial_targets ADD COLUMN action TEXT;            -- the first word that was said in the call with a key
ALTER TABLE dial_targets ADD COLUMN acted_at TIMESTAMPTZ;
