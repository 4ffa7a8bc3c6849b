-- Heartbeats, outages of handsets, maintenance windows, text messages out and in, and the public number that follows the person on duty.

CREATE TABLE heartbeats (
    id            BLOB PRIMARY KEY,
    name          TEXT NOT NULL UNIQUE,
    token_hash    BLOB NOT NULL UNIQUE,
    period_s      INTEGER NOT NULL,
    grace_s       INTEGER NOT NULL,
    phones        TEXT NOT NULL,                        -- whom to ring; a JSON list
    labels        TEXT NOT NULL,
    priority      INTEGER NOT NULL,
    created_at    TEXT NOT NULL,
    last_ping_at  TEXT,
    due_at        TEXT,                                 -- without a ping by then it is missed; NULL before the first one
    missed_since  TEXT
) STRICT;
CREATE INDEX heartbeats_due ON heartbeats (due_at) WHERE missed_since IS NULL;

-- One row for each time that a handset could not be used: what was done about it, once.
CREATE TABLE handset_outages (
    handset_id  BLOB NOT NULL REFERENCES handsets (id) ON DELETE CASCADE,
    since       TEXT NOT NULL,
    told_at     TEXT,
    told_how    TEXT,                                   -- alarm or fallback
    ended_at    TEXT,
    PRIMARY KEY (handset_id, since)
) STRICT;
CREATE INDEX handset_outages_open ON handset_outages (since) WHERE ended_at IS NULL;

CREATE TABLE maintenance_windows (
    id          BLOB PRIMARY KEY,
    reason      TEXT NOT NULL,
    starts_at   TEXT NOT NULL,
    ends_at     TEXT NOT NULL,
    team        TEXT,
    labels      TEXT NOT NULL,
    created_at  TEXT NOT NULL
) STRICT;
CREATE INDEX maintenance_windows_ends ON maintenance_windows (ends_at);

ALTER TABLE alarms ADD COLUMN held_until TEXT;    -- maintenance: nobody is rung for it before then
CREATE INDEX alarms_held ON alarms (held_until) WHERE held_until IS NOT NULL;

CREATE TABLE sms_gateways (
    id            BLOB PRIMARY KEY,
    name          TEXT NOT NULL UNIQUE,
    settings      TEXT NOT NULL,                        -- its kind and how to reach it; holds its secrets
    inbound_hash  BLOB NOT NULL UNIQUE,                 -- of the token under which it reports received messages
    created_at    TEXT NOT NULL,
    removed_at    TEXT
) STRICT;

CREATE TABLE public_lines (
    id                 BLOB PRIMARY KEY,
    name               TEXT NOT NULL UNIQUE,
    team               TEXT NOT NULL,
    number             TEXT NOT NULL,                   -- what people outside dial
    sms_number         TEXT NOT NULL,                   -- where the handset that holds its SIM gets messages
    carrier            TEXT NOT NULL,
    android            INTEGER NOT NULL,
    app_build          TEXT NOT NULL,
    text               TEXT NOT NULL,
    gateway_id         BLOB NOT NULL REFERENCES sms_gateways (id),
    handset_id         BLOB REFERENCES handsets (id),   -- when that handset also rings people
    verify_handset_id  BLOB REFERENCES handsets (id),   -- rings the public number to prove a hand-over
    bound_name         TEXT,                            -- a person who is always on duty, without a roster
    bound_number       TEXT,
    duty_number        TEXT,                            -- who was on duty when it was last looked at
    latest_seq         INTEGER NOT NULL DEFAULT 0,      -- of its latest hand-over
    created_at         TEXT NOT NULL,
    removed_at         TEXT
) STRICT;

CREATE TABLE hand_overs (
    id               BLOB PRIMARY KEY,
    line_id          BLOB NOT NULL REFERENCES public_lines (id) ON DELETE CASCADE,
    seq              INTEGER NOT NULL,
    at               TEXT NOT NULL,
    person           TEXT NOT NULL,
    number           TEXT NOT NULL,
    why              TEXT NOT NULL,                     -- duty or person
    refused          TEXT,                              -- why no command could be made
    trouble_at       TEXT,                              -- when people were told that it does not get through
    verify_alarm_id  BLOB REFERENCES alarms (id) ON DELETE SET NULL,
    UNIQUE (line_id, seq)
) STRICT;

CREATE TABLE sms_outbox (
    id            BLOB PRIMARY KEY,
    gateway_id    BLOB NOT NULL REFERENCES sms_gateways (id),
    hand_over_id  BLOB UNIQUE REFERENCES hand_overs (id) ON DELETE CASCADE,
    number        TEXT NOT NULL,
    text          TEXT NOT NULL,
    code          TEXT,                                 -- for a handset that dials it itself
    created_at    TEXT NOT NULL,
    due_at        TEXT NOT NULL,
    taken_until   TEXT,
    attempts      INTEGER NOT NULL,
    failures      INTEGER NOT NULL,                     -- the gateway took it and could not send it
    command_id    BLOB REFERENCES handset_commands (id) ON DELETE SET NULL,
    sent_at       TEXT,
    delivered_at  TEXT,
    gave_up_at    TEXT,
    last_result   TEXT
) STRICT;
CREATE INDEX sms_outbox_due ON sms_outbox (due_at, id) WHERE sent_at IS NULL AND gave_up_at IS NULL;

CREATE TABLE sms_inbox (
    id           BLOB PRIMARY KEY,
    gateway_id   BLOB NOT NULL REFERENCES sms_gateways (id),
    fingerprint  BLOB NOT NULL,                         -- the same message told again
    sender       TEXT NOT NULL,
    text         TEXT NOT NULL,
    received_at  TEXT NOT NULL,
    reply        TEXT NOT NULL,
    alarm_id     BLOB REFERENCES alarms (id) ON DELETE SET NULL,
    effect       TEXT,                                  -- NULL: not acted on yet
    UNIQUE (gateway_id, fingerprint)
) STRICT;
CREATE INDEX sms_inbox_received ON sms_inbox (received_at DESC);
CREATE INDEX sms_inbox_by_alarm ON sms_inbox (alarm_id) WHERE alarm_id IS NOT NULL;
CREATE INDEX hand_overs_by_alarm ON hand_overs (verify_alarm_id) WHERE verify_alarm_id IS NOT NULL;

-- For which alarm a number was rung last.
CREATE INDEX dial_targets_by_number ON dial_targets (number);
