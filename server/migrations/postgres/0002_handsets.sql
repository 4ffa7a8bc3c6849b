-- Pairing, the state of handsets, phones that knock, test calls, and commands for native handsets.

ALTER TABLE handsets ADD COLUMN offline_since TIMESTAMPTZ;       -- silent for longer than it ever is
ALTER TABLE handsets ADD COLUMN stuck_since TIMESTAMPTZ;         -- did not return after the deadline of a dial
ALTER TABLE handsets ADD COLUMN shared_since TIMESTAMPTZ;        -- two phones use its token
ALTER TABLE handsets ADD COLUMN failures INTEGER NOT NULL DEFAULT 0;  -- calls in a row that never left the phone
ALTER TABLE handsets ADD COLUMN avoid_until TIMESTAMPTZ;         -- another handset is preferred until then
ALTER TABLE handsets ADD COLUMN allowed_at TIMESTAMPTZ;          -- a phone on the plain path that may poll from outside open networks
ALTER TABLE handsets ADD COLUMN test_alarm_id UUID;              -- its latest test call
ALTER TABLE handsets ADD COLUMN status JSONB;                    -- what a native handset last said of itself
ALTER TABLE handsets ADD COLUMN status_at TIMESTAMPTZ;

ALTER TABLE hunts ADD COLUMN only_handset_id UUID;               -- a test call is for one handset

ALTER TABLE callees ADD COLUMN failed INTEGER NOT NULL DEFAULT 0;  -- hand-outs in which the call never left the phone

ALTER TABLE dial_targets ADD COLUMN progress TEXT;               -- what a native handset is doing right now
ALTER TABLE dial_targets ADD COLUMN progress_at TIMESTAMPTZ;

-- Until then the line may still ring although the dial is closed: the app reports *nobody* too early at times, and a call that is
-- not wanted any more rings on.
ALTER TABLE dials ADD COLUMN line_free_at TIMESTAMPTZ;
CREATE INDEX dials_line ON dials (line_free_at) WHERE line_free_at IS NOT NULL;

CREATE TABLE knocks (
    address     TEXT NOT NULL,
    model       TEXT NOT NULL,
    user_agent  TEXT NOT NULL,
    first_at    TIMESTAMPTZ NOT NULL,
    last_at     TIMESTAMPTZ NOT NULL,
    times       BIGINT NOT NULL,
    PRIMARY KEY (address, model)
);

CREATE TABLE handset_commands (
    id          UUID PRIMARY KEY,
    handset_id  UUID NOT NULL REFERENCES handsets (id) ON DELETE CASCADE,
    body        JSONB NOT NULL,
    created_at  TIMESTAMPTZ NOT NULL,
    done_at     TIMESTAMPTZ,
    result      JSONB
);
CREATE INDEX handset_commands_open ON handset_commands (handset_id, created_at) WHERE done_at IS NULL;

CREATE INDEX events_at ON events (at);
