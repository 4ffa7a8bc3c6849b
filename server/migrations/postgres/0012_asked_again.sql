-- Rows that point at rows which are deleted: without an index each deletion reads the whole table, for every alarm that joins a hunt and
-- for all that is forgotten.
CREATE INDEX deliveries_by_hunt ON deliveries (hunt_id) WHERE hunt_id IS NOT NULL;
CREATE INDEX deliveries_by_alarm ON deliveries (alarm_id) WHERE alarm_id IS NOT NULL;
CREATE INDEX dial_targets_by_callee ON dial_targets (callee_id);
CREATE INDEX answers_by_callee ON answers (callee_id) WHERE callee_id IS NOT NULL;
CREATE INDEX answers_by_mid ON answers (mid) WHERE mid IS NOT NULL;
CREATE INDEX answers_by_person ON answers (person_id) WHERE person_id IS NOT NULL;
CREATE INDEX callees_by_person ON callees (person_id) WHERE person_id IS NOT NULL;
CREATE INDEX idempotency_keys_by_alarm ON idempotency_keys (alarm_id);
CREATE INDEX hunts_by_policy ON hunts (policy_id) WHERE policy_id IS NOT NULL;
CREATE INDEX sms_outbox_by_command ON sms_outbox (command_id) WHERE command_id IS NOT NULL;

-- Whom a hunt was asked to ring, when that is for the roster to say: a later hunt asks the roster again.
ALTER TABLE hunts ADD COLUMN ring JSONB;
-- The one team that an alarm asked for: maintenance of the team holds it.
ALTER TABLE alarms ADD COLUMN team TEXT;
-- When a command was handed to its handset for the first time: it rests for a forwarding code once, not at each repetition.
ALTER TABLE handset_commands ADD COLUMN handed_at TIMESTAMPTZ;
