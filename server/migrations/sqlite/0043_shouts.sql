-- Shouts: one message to many people.

ALTER TABLE api_keys ADD COLUMN rights TEXT NOT NULL DEFAULT '';     -- what it may beside raising alarms
ALTER TABLE handsets ADD COLUMN bulk INTEGER NOT NULL DEFAULT 0;     -- shouts may take all its channels

CREATE TABLE shouts (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    alarm_id     BLOB NOT NULL UNIQUE REFERENCES alarms (id) ON DELETE CASCADE,
    hunt_id      BLOB NOT NULL UNIQUE,
    key_id       BLOB NOT NULL,                 -- userdata is a name space of it
    userdata     TEXT NOT NULL,
    title        TEXT,
    caller       TEXT NOT NULL,                 -- who speaks the message, as its sender wrote it
    schedule     TEXT,
    status       TEXT NOT NULL,
    created_at   TEXT NOT NULL,
    started_at   TEXT,
    finished_at  TEXT,
    step         INTEGER NOT NULL,              -- how far its recording has got
    step_at      TEXT NOT NULL,
    words        TEXT,                          -- the message, where it is spoken
    language     TEXT,
    media_id     BLOB,                          -- the message, where it is sound
    seconds      INTEGER NOT NULL DEFAULT 0,    -- its length
    recorded_at  TEXT,
    recipients   INTEGER NOT NULL,              -- so many
    callable     INTEGER NOT NULL DEFAULT 0,    -- so many of its recipients may be called
    sent         INTEGER NOT NULL DEFAULT 0,    -- so many have been called for the first time
    no_voice_since TEXT                  -- no handset could make its calls since then
) STRICT;
CREATE INDEX shouts_by_owner ON shouts (key_id, userdata, id);
CREATE INDEX shouts_lately ON shouts (key_id, created_at);
CREATE INDEX shouts_by_media ON shouts (media_id) WHERE media_id IS NOT NULL;

CREATE TABLE shout_calls (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    shout_id     INTEGER NOT NULL REFERENCES shouts (id) ON DELETE CASCADE,
    place        INTEGER NOT NULL,
    phone        TEXT NOT NULL,                 -- as its sender wrote it
    number       TEXT,                          -- in its comparable form; nothing where it is no number
    status       TEXT NOT NULL,
    retries      INTEGER NOT NULL DEFAULT 0,
    due_at       TEXT,                   -- not called before then
    started_at   TEXT,
    finished_at  TEXT,
    seconds      INTEGER NOT NULL DEFAULT 0,
    q850         INTEGER NOT NULL DEFAULT 0,
    callee_id    BLOB,                          -- in its hunt, since it was called first
    UNIQUE (shout_id, place)
) STRICT;
CREATE INDEX shout_calls_open ON shout_calls (shout_id, status, due_at, place) WHERE status IN ('pending', 'ready', 'ongoing');
CREATE INDEX shout_calls_first ON shout_calls (shout_id, place) WHERE status = 'ready' AND due_at IS NULL;
CREATE INDEX shout_calls_by_callee ON shout_calls (callee_id) WHERE callee_id IS NOT NULL;

-- Who wants no more of what a sender shouts.
CREATE TABLE shout_dnc (
    key_id       BLOB NOT NULL,
    userdata     TEXT NOT NULL,
    number       TEXT NOT NULL,
    phone        TEXT NOT NULL,                 -- as the sender wrote it
    shout_id     INTEGER NOT NULL,
    at           TEXT NOT NULL,
    PRIMARY KEY (key_id, userdata, number)
) STRICT;

-- How many calls of shouts went out in the second that was counted last.
CREATE TABLE shout_pace (
    one          INTEGER PRIMARY KEY CHECK (one = 1),
    counted      TEXT NOT NULL,
    calls        INTEGER NOT NULL
) STRICT;
INSERT INTO shout_pace (one, counted, calls) VALUES (1, '1970-01-01T00:00:00+00:00', 0);

-- Detail records: lines as they are read by whoever accounts for shouts.
CREATE TABLE shout_log (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    kind         TEXT NOT NULL,                 -- bdr: of a shout, cdr: of a call, rec: of the call in which a message was recorded
    at           TEXT NOT NULL,
    shout_id     INTEGER NOT NULL,
    line         TEXT NOT NULL                  -- JSON, its keys in the order that readers know
) STRICT;
CREATE INDEX shout_log_at ON shout_log (at, id);
