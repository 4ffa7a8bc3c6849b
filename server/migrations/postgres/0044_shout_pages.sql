-- What the pages show of shouts, and for which number an urgent alarm waits.

ALTER TABLE shout_calls ADD COLUMN answered_by TEXT;        -- human or machine, where the handset could tell
ALTER TABLE shouts ADD COLUMN form TEXT;                  -- the form by which it was sent, which sends one
CREATE UNIQUE INDEX shouts_by_form ON shouts (form) WHERE form IS NOT NULL;
CREATE INDEX shout_calls_over ON shout_calls (shout_id, finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX shout_dnc_by_time ON shout_dnc (at);
CREATE INDEX shout_dnc_by_owner ON shout_dnc (key_id, userdata, at, number);

ALTER TABLE hunts ADD COLUMN busy_phone TEXT;               -- an urgent alarm waits for this one, which is in another call
ALTER TABLE hunts ADD COLUMN busy_since TIMESTAMPTZ;               -- since then
CREATE INDEX hunts_wait_for_phone ON hunts (busy_since) WHERE busy_phone IS NOT NULL AND ended_at IS NULL;
