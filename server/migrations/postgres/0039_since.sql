-- Since when a hunt has waited for a handset without a hand-out; NULL: since due_at.
ALTER TABLE hunts ADD COLUMN due_since TIMESTAMPTZ;
-- When a call last did not leave: what was handed out before proves nothing since.
ALTER TABLE handsets ADD COLUMN failed_at TIMESTAMPTZ;
ALTER TABLE handset_channels ADD COLUMN failed_at TIMESTAMPTZ;
