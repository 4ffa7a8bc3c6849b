-- Escalation policies, confirmation, snoozing, and numbers that must not be called.

CREATE TABLE policies (
    id          UUID PRIMARY KEY,
    name        TEXT NOT NULL UNIQUE,
    definition  JSONB NOT NULL,
    created_at  TIMESTAMPTZ NOT NULL,
    updated_at  TIMESTAMPTZ NOT NULL
);

-- Which alarms a policy is for, tried in order; the first that matches counts.
CREATE TABLE policy_rules (
    position    INTEGER PRIMARY KEY,
    policy_id   UUID NOT NULL REFERENCES policies (id) ON DELETE CASCADE,
    sender      TEXT,                                   -- name of the sender's key; NULL: any
    labels      JSONB NOT NULL                          -- all of these must be on the alarm
);

CREATE TABLE do_not_call (
    number      TEXT PRIMARY KEY,                       -- E.164, else bare digits
    reason      TEXT NOT NULL,
    created_at  TIMESTAMPTZ NOT NULL
);

-- What this installation signs with.
CREATE TABLE secrets (
    name        TEXT PRIMARY KEY,
    secret      BYTEA NOT NULL
);

ALTER TABLE hunts ADD COLUMN policy_id UUID REFERENCES policies (id) ON DELETE SET NULL;
ALTER TABLE hunts ADD COLUMN policy_step INTEGER;                 -- NULL: before the first
ALTER TABLE hunts ADD COLUMN policy_round INTEGER NOT NULL DEFAULT 0;
ALTER TABLE hunts ADD COLUMN snoozed_until TIMESTAMPTZ;
ALTER TABLE hunts ADD COLUMN wake_at TIMESTAMPTZ;                 -- a lapse, a step or a snooze ends then, whoever asks
CREATE INDEX hunts_wake ON hunts (wake_at) WHERE ended_at IS NULL AND wake_at IS NOT NULL;

ALTER TABLE alarms ADD COLUMN ring_again_at TIMESTAMPTZ;          -- unless it is over by then
CREATE INDEX alarms_ring_again ON alarms (ring_again_at) WHERE ring_again_at IS NOT NULL;
