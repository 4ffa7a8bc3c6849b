-- Calls and conferences that programs command.

-- One row for each key that commands any: whoever changes its calls and conferences locks this first, and hunts after it.
CREATE TABLE rpc_keys (
    key_id      BLOB PRIMARY KEY,
    last_n      INTEGER NOT NULL DEFAULT 0,     -- of its latest event
    lost_n      INTEGER NOT NULL DEFAULT 0,     -- of the latest event that is kept no more
    call_to     TEXT                           -- numbers that begin so may be called; NULL: any
) STRICT;

CREATE TABLE rpc_resources (
    id          TEXT PRIMARY KEY,
    key_id      BLOB NOT NULL,
    kind        TEXT NOT NULL,
    spoken      TEXT NOT NULL,                -- in which dialect its creator speaks, and where its events go
    state       TEXT NOT NULL,
    number      TEXT NOT NULL,                 -- whom it calls, or who calls
    mid         TEXT,                          -- its dial, or the call that came in
    hunt_id     BLOB,
    handset_id  BLOB,                          -- on which it runs
    dropped     INTEGER NOT NULL DEFAULT 0, -- its program wants it no more
    due_at      TEXT,                   -- when time alone changes it
    made_at     TEXT NOT NULL,
    released_at TEXT
) STRICT;
CREATE INDEX rpc_resources_open ON rpc_resources (key_id, made_at) WHERE released_at IS NULL;
CREATE INDEX rpc_resources_made ON rpc_resources (key_id, made_at);
CREATE INDEX rpc_resources_due ON rpc_resources (due_at) WHERE due_at IS NOT NULL AND released_at IS NULL;
CREATE UNIQUE INDEX rpc_resources_by_mid ON rpc_resources (mid) WHERE mid IS NOT NULL;
CREATE INDEX rpc_resources_by_hunt ON rpc_resources (hunt_id) WHERE hunt_id IS NOT NULL;
CREATE INDEX rpc_resources_by_handset ON rpc_resources (handset_id) WHERE handset_id IS NOT NULL AND released_at IS NULL;
CREATE INDEX rpc_resources_over ON rpc_resources (released_at) WHERE released_at IS NOT NULL;

-- What was heard of a call and has not been told to it yet.
CREATE TABLE rpc_heard (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    res_id      TEXT NOT NULL REFERENCES rpc_resources (id) ON DELETE CASCADE,
    word        TEXT NOT NULL,
    at          TEXT NOT NULL
) STRICT;
CREATE INDEX rpc_heard_of ON rpc_heard (res_id, id);

-- What was asked, and answered: the same again is answered again, and done once.
CREATE TABLE rpc_requests (
    key_id      BLOB NOT NULL,
    caller      TEXT NOT NULL,
    rpc_id      TEXT NOT NULL,
    hash        BLOB NOT NULL,
    reply       TEXT NOT NULL,
    at          TEXT NOT NULL,
    PRIMARY KEY (key_id, caller, rpc_id)
) STRICT;
CREATE INDEX rpc_requests_at ON rpc_requests (at);

CREATE TABLE rpc_events (
    key_id      BLOB NOT NULL,
    n           INTEGER NOT NULL,
    body        TEXT NOT NULL,
    addressee   TEXT,                          -- the connection of whoever made what it is about
    taken_by    TEXT,                          -- where one of several gets it: who did
    at          TEXT NOT NULL,
    PRIMARY KEY (key_id, n)
) STRICT;
CREATE INDEX rpc_events_at ON rpc_events (at);

-- Who listens for events now.
CREATE TABLE rpc_consumers (
    id          TEXT PRIMARY KEY,
    key_id      BLOB NOT NULL,
    seen_at     TEXT NOT NULL
) STRICT;
CREATE INDEX rpc_consumers_of ON rpc_consumers (key_id, seen_at);
CREATE INDEX rpc_consumers_seen ON rpc_consumers (seen_at);

-- Sound by name, of a key.
CREATE TABLE rpc_files (
    key_id      BLOB NOT NULL,
    name        TEXT NOT NULL,
    media_id    BLOB NOT NULL,
    at          TEXT NOT NULL,
    recorded    INTEGER NOT NULL DEFAULT 0, -- in a call, and kept no longer than other recordings
    PRIMARY KEY (key_id, name)
) STRICT;
CREATE INDEX rpc_files_recorded ON rpc_files (at) WHERE recorded;
CREATE INDEX rpc_files_by_media ON rpc_files (media_id);

ALTER TABLE live_commands ADD COLUMN token TEXT;             -- by which a call of a program knows it
ALTER TABLE recordings ADD COLUMN rpc_file TEXT;            -- the name under which a program finds it
ALTER TABLE recordings ADD COLUMN rpc_key BLOB;             -- which program
CREATE INDEX live_commands_of_programs ON live_commands (made_at) WHERE token IS NOT NULL AND done_at IS NULL;
