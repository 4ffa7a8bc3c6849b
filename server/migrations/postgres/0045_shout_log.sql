-- Detail records of shouts: whose they are, and into whose files they are still to be written.

ALTER TABLE shout_log ADD COLUMN key_id UUID;   -- whose shout it was; nothing: that is forgotten
ALTER TABLE shout_log ADD COLUMN folder UUID;   -- it is still to be written into the files of that folder; nothing: into none
UPDATE shout_log SET key_id = (SELECT s.key_id FROM shouts s WHERE s.id = shout_log.shout_id);
CREATE INDEX shout_log_unwritten ON shout_log (kind, id) WHERE folder IS NOT NULL;
CREATE INDEX shout_log_by_kind ON shout_log (kind, at, id);
CREATE INDEX shout_log_by_key ON shout_log (key_id, kind, at, id);

-- Calls of shouts, of which there may be thousands at once, are read by the key that sent those; what is read by all leaves them out.
CREATE INDEX call_records_no_shouts ON call_records (offered_at, id) WHERE kind <> 'shout' AND origin <> 'replicated';
