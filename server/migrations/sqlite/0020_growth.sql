-- What a request costs does not depend on what is over: indexes for what is asked for, and for what is forgotten.

-- What is forgotten, in the order in which it ended.
CREATE INDEX hunts_ended ON hunts (ended_at, id) WHERE ended_at IS NOT NULL;
CREATE INDEX events_of_handsets ON events (at) WHERE alarm_id IS NULL AND hunt_id IS NULL;
CREATE INDEX hand_overs_at ON hand_overs (at);
CREATE INDEX idempotency_keys_created ON idempotency_keys (created_at);
CREATE INDEX handset_outages_ended ON handset_outages (ended_at) WHERE ended_at IS NOT NULL;

-- What alarms are asked for by.
CREATE INDEX alarms_by_dedup_key ON alarms (dedup_key, number) WHERE dedup_key IS NOT NULL;
CREATE INDEX alarms_by_source ON alarms (source, number);
CREATE INDEX alarms_by_priority ON alarms (priority, number);
CREATE INDEX alarms_cancelled ON alarms (number) WHERE cancelled_at IS NOT NULL;

-- Those that are over need not be looked at again, though they were held.
DROP INDEX alarms_held;
CREATE INDEX alarms_held ON alarms (held_until) WHERE held_until IS NOT NULL AND resolved_at IS NULL AND cancelled_at IS NULL;

-- The latest notices, for a look.
CREATE INDEX deliveries_at ON deliveries (at, id);
-- Messages that may be on their way right now.
CREATE INDEX sms_outbox_taken ON sms_outbox (taken_until) WHERE taken_until IS NOT NULL;
-- For which alarm a public number was proved last.
CREATE INDEX hand_overs_by_number ON hand_overs (number, verify_alarm_id) WHERE verify_alarm_id IS NOT NULL;
-- Rows that point at people, who can be deleted.
CREATE INDEX overrides_by_person ON overrides (person_id);
CREATE INDEX overrides_by_replaced ON overrides (instead_of) WHERE instead_of IS NOT NULL;
