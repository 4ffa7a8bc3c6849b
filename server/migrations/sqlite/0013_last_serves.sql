-- A phone is believed to ring from its last serve. A dial that was open before has none of these: its hand-out counts.
ALTER TABLE dials ADD COLUMN last_served_at TEXT;
ALTER TABLE dials ADD COLUMN served_before_at TEXT;
-- What its handset could do when it was given the dial: app, list, repeat or native.
ALTER TABLE dials ADD COLUMN profile TEXT;
-- Its own length: what serves and grace may add to its deadline.
ALTER TABLE dials ADD COLUMN length_s INTEGER;
-- Its app asked for it as no healthy app does, and was told nothing until then; once in a dial.
ALTER TABLE dials ADD COLUMN withheld_until TEXT;
UPDATE dials SET profile = 'app' WHERE closed_at IS NULL AND line_free_at IS NOT NULL;

-- Since when its app seems to have been started again in the middle of a call; until its next report.
ALTER TABLE handsets ADD COLUMN restarted_since TEXT;
-- The doors it had until it was removed or got another token, and the dial that it held then: whoever holds that may finish it.
ALTER TABLE handsets ADD COLUMN former_token_hash BLOB;
ALTER TABLE handsets ADD COLUMN former_plain_key TEXT;
ALTER TABLE handsets ADD COLUMN former_mid TEXT;
CREATE INDEX handsets_former_token ON handsets (former_token_hash) WHERE former_token_hash IS NOT NULL;
CREATE INDEX handsets_former_plain_key ON handsets (former_plain_key) WHERE former_plain_key IS NOT NULL;
