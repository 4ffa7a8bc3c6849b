-- Calls that other systems list, such as a PBX, stand among the records of calls (origin 'replicated'): one for an instant, a caller and a
-- destination. There may be millions of them, so what only our own calls have is indexed for these alone.

ALTER TABLE call_records ADD COLUMN caller TEXT;             -- who called, in the other system's words
ALTER TABLE call_records ADD COLUMN said_at TEXT;            -- when, as it was written
ALTER TABLE call_records ADD COLUMN seconds BIGINT;          -- how long, as it was said
ALTER TABLE call_records ADD COLUMN url TEXT;                -- where more is to be read
ALTER TABLE call_records ADD COLUMN key_id UUID;             -- by whose key it came
ALTER TABLE call_records ADD COLUMN contact_id BIGINT;       -- whose it is, as was answered

CREATE UNIQUE INDEX call_records_replicated ON call_records (offered_at, caller, number) WHERE origin = 'replicated';
CREATE INDEX call_records_by_caller ON call_records (caller, offered_at, id) WHERE caller IS NOT NULL;
CREATE INDEX call_records_by_key ON call_records (key_id, id) WHERE key_id IS NOT NULL;

DROP INDEX call_records_at;
CREATE INDEX call_records_at ON call_records (offered_at, id) WHERE origin <> 'replicated';
DROP INDEX call_records_by_hunt;
CREATE INDEX call_records_by_hunt ON call_records (hunt_id, offered_at, id) WHERE hunt_id IS NOT NULL;
DROP INDEX call_records_by_alarm;
CREATE INDEX call_records_by_alarm ON call_records (alarm_id, offered_at, id) WHERE alarm_id IS NOT NULL;
DROP INDEX call_records_by_handset;
CREATE INDEX call_records_by_handset ON call_records (handset_id, offered_at, id) WHERE handset_id IS NOT NULL;
DROP INDEX call_records_by_outcome;
CREATE INDEX call_records_by_outcome ON call_records (outcome, offered_at, id) WHERE origin <> 'replicated';
DROP INDEX call_records_by_kind;
CREATE INDEX call_records_by_kind ON call_records (kind, offered_at, id) WHERE origin <> 'replicated';

ALTER TABLE api_keys ADD COLUMN phonecalls JSONB;            -- how whoever lists calls with it is read; NULL: as the installation says
