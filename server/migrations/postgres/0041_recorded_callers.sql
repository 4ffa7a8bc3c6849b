-- Calls that come in are recorded as any: a recording belongs to the hunt whose call it was made in.

ALTER TABLE recordings ADD COLUMN hunt_id UUID REFERENCES hunts (id) ON DELETE CASCADE;
UPDATE recordings SET hunt_id = (SELECT d.hunt_id FROM dials d WHERE d.mid = recordings.mid);
ALTER TABLE recordings ALTER COLUMN hunt_id SET NOT NULL;
ALTER TABLE recordings DROP CONSTRAINT recordings_mid_fkey;
CREATE INDEX recordings_by_hunt ON recordings (hunt_id);

ALTER TABLE inbound_calls ADD COLUMN records TEXT;           -- why its handset was told to record; NULL: it was not
