-- What is said while a call runs: commands for it, what became of them, and calls that come in.

CREATE TABLE live_handsets (
    handset_id  UUID PRIMARY KEY REFERENCES handsets (id) ON DELETE CASCADE,
    last_seq    BIGINT NOT NULL DEFAULT 0,     -- of the last command that it was given
    connection  TEXT                           -- its newest request; an older one ends
);

CREATE TABLE live_commands (
    id          UUID PRIMARY KEY,
    handset_id  UUID NOT NULL REFERENCES handsets (id) ON DELETE CASCADE,
    seq         BIGINT,                        -- given when it is first sent, so that a handset sees them rise
    mid         TEXT NOT NULL,
    place       INTEGER NOT NULL,              -- of the number in the dial's list
    what        JSONB NOT NULL,
    made_at     TIMESTAMPTZ NOT NULL,
    made_by     JSONB NOT NULL,
    by_name     TEXT,                          -- who made it, by their own word
    sent_at     TIMESTAMPTZ,
    done_at     TIMESTAMPTZ,
    failed      TEXT                           -- why it could not be carried out
);
CREATE UNIQUE INDEX live_commands_seq ON live_commands (handset_id, seq) WHERE seq IS NOT NULL;
CREATE INDEX live_commands_open ON live_commands (handset_id, made_at) WHERE done_at IS NULL;
CREATE INDEX live_commands_by_call ON live_commands (mid, made_at, id);
CREATE INDEX live_commands_at ON live_commands (made_at, id);

CREATE TABLE live_events (
    handset_id  UUID NOT NULL REFERENCES handsets (id) ON DELETE CASCADE,
    seq         BIGINT NOT NULL,               -- the handset's own count
    mid         TEXT NOT NULL,
    ack         BIGINT,                        -- seq of the command that it is about
    word        TEXT NOT NULL,
    value       TEXT,
    at_ms       BIGINT,                        -- since the call began
    heard_at    TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (handset_id, mid, seq)
);
CREATE INDEX live_events_by_call ON live_events (mid, seq);
CREATE INDEX live_events_at ON live_events (heard_at);

ALTER TABLE handsets ADD COLUMN inbound BOOLEAN NOT NULL DEFAULT FALSE;     -- calls that come in are taken
CREATE TABLE inbound_calls (
    mid         TEXT PRIMARY KEY,
    handset_id  UUID NOT NULL REFERENCES handsets (id) ON DELETE CASCADE,
    told_as     TEXT NOT NULL,                 -- what its handset calls it
    channel     INTEGER NOT NULL,
    caller      TEXT NOT NULL,                 -- as the network says
    called      TEXT NOT NULL,
    number      TEXT NOT NULL,                 -- the caller's, in its comparable form
    hunt_id     UUID NOT NULL,                 -- copies: the call stands by itself
    callee_id   UUID NOT NULL,
    alarms      JSONB NOT NULL,                -- what it is about
    at          TIMESTAMPTZ NOT NULL,
    deadline    TIMESTAMPTZ NOT NULL,          -- over by then, whatever is heard
    ended_at    TIMESTAMPTZ,
    action      TEXT,                          -- the first word that was said with a key
    acted_at    TIMESTAMPTZ,
    UNIQUE (handset_id, told_as)
);
CREATE INDEX inbound_calls_by_number ON inbound_calls (number, at);
CREATE INDEX inbound_calls_by_hunt ON inbound_calls (hunt_id);
CREATE INDEX inbound_calls_open ON inbound_calls (handset_id, channel) WHERE ended_at IS NULL;
CREATE INDEX inbound_calls_at ON inbound_calls (at);

-- Calls in which something was to be recorded, and that no handset has reported: a person's are looked for when they go.
CREATE INDEX dials_unreported_records ON dials (mid) WHERE records IS NOT NULL AND reported_at IS NULL;
