-- Pairing, the state of handsets, phones that knock, test calls, and commands for native handsets.

ALTER TABLE handsets ADD COLUMN offline_since TEXT;       -- silent for longer than it ever is
ALTER TABLE handsets ADD COLUMN stuck_since TEXT;         -- did not return after the deadline of a dial
ALTER TABLE handsets ADD COLUMN shared_since TEXT;        -- two phones use its token
ALTER TABLE handsets ADD COLUMN failures INTEGER NOT NULL DEFAULT 0;  -- calls in a row that never left the phone
ALTER TABLE handsets ADD COLUMN avoid_until TEXT;         -- another handset is preferred until then
ALTER TABLE handsets ADD COLUMN allowed_at TEXT;          -- a phone on the plain path that may poll from outside open networks
ALTER TABLE handsets ADD COLUMN test_alarm_id BLOB;              -- its latest test call
ALTER TABLE handsets ADD COLUMN status TEXT;                    -- what a native handset last said of itself
ALTER TABLE handsets ADD COLUMN status_at TEXT;

ALTER TABLE hunts ADD COLUMN only_handset_id BLOB;               -- a test call is for one handset

ALTER TABLE callees ADD COLUMN failed INTEGER NOT NULL DEFAULT 0;  -- hand-outs in which the call never left the phone

ALTER TABLE dial_targets ADD COLUMN progress TEXT;               -- what a native handset is doing right now
ALTER TABLE dial_targets ADD COLUMN progress_at TEXT;

-- Until then the line may still ring although the dial is closed: the app reports *nobody* too early at times, and a call that is
-- not wanted any more rings on.
ALTER TABLE dials ADD COLUMN line_free_at TEXT;
CREATE INDEX dials_line ON dials (line_free_at) WHERE line_free_at IS NOT NULL;

CREATE TABLE knocks (
    address     TEXT NOT NULL,
    model       TEXT NOT NULL,
    user_agent  TEXT NOT NULL,
    first_at    TEXT NOT NULL,
    last_at     TEXT NOT NULL,
    times       INTEGER NOT NULL,
    PRIMARY KEY (address, model)
) STRICT;

CREATE TABLE handset_commands (
    id          BLOB PRIMARY KEY,
    handset_id  BLOB NOT NULL REFERENCES handsets (id) ON DELETE CASCADE,
    body        TEXT NOT NULL,
    created_at  TEXT NOT NULL,
    done_at     TEXT,
    result      TEXT
) STRICT;
CREATE INDEX handset_commands_open ON handset_commands (handset_id, created_at) WHERE done_at IS NULL;

CREATE INDEX events_at ON events (at);
