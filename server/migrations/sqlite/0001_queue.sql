-- People, handsets, and the alarm queue. The Postgres file of the same number holds the same tables and columns.

CREATE TABLE people (
    id          BLOB PRIMARY KEY,
    name        TEXT NOT NULL UNIQUE,
    language    TEXT NOT NULL,
    created_at  TEXT NOT NULL,
    updated_at  TEXT NOT NULL
) STRICT;

CREATE TABLE person_numbers (
    number      TEXT PRIMARY KEY,                       -- E.164, else bare digits
    person_id   BLOB NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    position    INTEGER NOT NULL
) STRICT;
CREATE INDEX person_numbers_by_person ON person_numbers (person_id, position);

CREATE TABLE handsets (
    id                BLOB PRIMARY KEY,
    name              TEXT NOT NULL UNIQUE,
    token_hash        BLOB UNIQUE,                     -- NULL for a phone on the plain path
    next_token_hash   BLOB UNIQUE,                     -- while a token is being rotated both are good
    plain_key         TEXT UNIQUE,                      -- address and model, for a phone on the plain path
    profile           TEXT NOT NULL,
    idle_form         TEXT NOT NULL,
    country           TEXT NOT NULL,
    ring_seconds      INTEGER NOT NULL,
    interval_seconds  REAL,                 -- learned from its polls
    created_at        TEXT NOT NULL,
    disabled_at       TEXT,
    last_seen_at      TEXT,
    last_address      TEXT,
    last_model        TEXT,
    last_user_agent   TEXT
) STRICT;

CREATE TABLE hunts (
    id              BLOB PRIMARY KEY,
    priority        INTEGER NOT NULL,
    mode            TEXT NOT NULL,
    until           TEXT NOT NULL,
    dry_run         INTEGER NOT NULL,
    confirm_within  INTEGER,
    step            INTEGER NOT NULL,
    step_ends_at    TEXT,
    dials_left      INTEGER NOT NULL CHECK (dials_left >= 0),
    created_at      TEXT NOT NULL,
    due_at          TEXT NOT NULL,
    begin_before    TEXT NOT NULL,               -- without a hand-out by then it ends: no handset was available
    begin_window_s  INTEGER NOT NULL,
    begun_at        TEXT,                        -- first hand-out
    ended_at        TEXT,
    outcome         TEXT,
    end_reason      TEXT,
    CHECK ((ended_at IS NULL) = (outcome IS NULL))
) STRICT;
CREATE INDEX hunts_due ON hunts (priority DESC, due_at, id) WHERE ended_at IS NULL AND NOT dry_run;
CREATE INDEX hunts_open ON hunts (begin_before) WHERE ended_at IS NULL;

CREATE TABLE alarms (
    id              BLOB PRIMARY KEY,
    number          INTEGER NOT NULL UNIQUE,             -- the eventid of interfaces that know digits only
    hunt_id         BLOB NOT NULL REFERENCES hunts (id),
    integration_id  TEXT NOT NULL,
    source          TEXT NOT NULL,
    dedup_key       TEXT,
    dedup_open      INTEGER NOT NULL,
    summary         TEXT NOT NULL,
    details         TEXT NOT NULL,
    labels          TEXT NOT NULL,
    priority        INTEGER NOT NULL,
    repeats         INTEGER NOT NULL,
    raised_at       TEXT NOT NULL,
    last_repeat_at  TEXT NOT NULL,
    resolved_at     TEXT,
    cancelled_at    TEXT
) STRICT;
CREATE UNIQUE INDEX alarms_dedup ON alarms (integration_id, dedup_key) WHERE dedup_open;
CREATE INDEX alarms_by_hunt ON alarms (hunt_id);

-- Every hunt an alarm ever had; alarms.hunt_id is the current one.
CREATE TABLE alarm_hunts (
    alarm_id   BLOB NOT NULL REFERENCES alarms (id) ON DELETE CASCADE,
    hunt_id    BLOB NOT NULL REFERENCES hunts (id) ON DELETE CASCADE,
    joined_at  TEXT NOT NULL,
    PRIMARY KEY (alarm_id, hunt_id)
) STRICT;
CREATE INDEX alarm_hunts_by_hunt ON alarm_hunts (hunt_id);

CREATE TABLE callees (
    id               BLOB PRIMARY KEY,
    hunt_id          BLOB NOT NULL REFERENCES hunts (id) ON DELETE CASCADE,
    step             INTEGER NOT NULL,
    position         INTEGER NOT NULL,
    person_id        BLOB REFERENCES people (id) ON DELETE SET NULL,
    name             TEXT,
    number           TEXT NOT NULL,
    known_to_plan    INTEGER NOT NULL,
    ref              TEXT,                              -- what the sender calls this callee
    max_attempts     INTEGER NOT NULL,
    min_interval_s   INTEGER NOT NULL,
    attempts         INTEGER NOT NULL,
    last_offered_at  TEXT,
    verdict          TEXT,
    UNIQUE (hunt_id, step, position),
    CHECK (attempts >= 0 AND attempts <= max_attempts)
) STRICT;

CREATE TABLE dials (
    mid          TEXT PRIMARY KEY,
    hunt_id      BLOB NOT NULL REFERENCES hunts (id) ON DELETE CASCADE,
    handset_id   BLOB REFERENCES handsets (id),         -- NULL: dry run
    exclusive    INTEGER NOT NULL,
    phones       TEXT NOT NULL,
    offered_at   TEXT NOT NULL,
    deadline     TEXT NOT NULL,
    serves       INTEGER NOT NULL,
    closed_at    TEXT,
    outcome      TEXT,
    resp         TEXT,
    reported_at  TEXT,
    CHECK ((closed_at IS NULL) = (outcome IS NULL))
) STRICT;
CREATE UNIQUE INDEX dials_one_per_handset ON dials (handset_id) WHERE closed_at IS NULL;
CREATE UNIQUE INDEX dials_one_exclusive ON dials (hunt_id) WHERE closed_at IS NULL AND exclusive;
CREATE INDEX dials_latest ON dials (handset_id, offered_at DESC);
CREATE INDEX dials_deadline ON dials (deadline) WHERE closed_at IS NULL;
CREATE INDEX dials_by_hunt ON dials (hunt_id);

CREATE TABLE dial_targets (
    mid        TEXT NOT NULL REFERENCES dials (mid) ON DELETE CASCADE,
    seq        INTEGER NOT NULL,
    callee_id  BLOB NOT NULL REFERENCES callees (id) ON DELETE CASCADE,
    number     TEXT NOT NULL,
    attempts   INTEGER NOT NULL,                        -- how many attempts this hand-out reserved
    holds      INTEGER NOT NULL,
    outcome    TEXT,
    PRIMARY KEY (mid, seq)
) STRICT;
CREATE UNIQUE INDEX dial_targets_number ON dial_targets (number) WHERE holds;
CREATE UNIQUE INDEX dial_targets_callee ON dial_targets (callee_id) WHERE holds;

CREATE TABLE answers (
    id            BLOB PRIMARY KEY,
    hunt_id       BLOB NOT NULL REFERENCES hunts (id) ON DELETE CASCADE,
    mid           TEXT REFERENCES dials (mid) ON DELETE CASCADE,
    callee_id     BLOB REFERENCES callees (id) ON DELETE CASCADE,
    number        TEXT,
    person_id     BLOB REFERENCES people (id) ON DELETE SET NULL,
    name          TEXT NOT NULL,
    handset_id    BLOB REFERENCES handsets (id),
    at            TEXT NOT NULL,
    via           TEXT NOT NULL,
    attempt       INTEGER,
    confirmed_at  TEXT,
    lapsed_at     TEXT
) STRICT;
CREATE INDEX answers_by_hunt ON answers (hunt_id, at);

CREATE TABLE events (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    alarm_id  BLOB REFERENCES alarms (id) ON DELETE CASCADE,
    hunt_id   BLOB REFERENCES hunts (id) ON DELETE CASCADE,
    at        TEXT NOT NULL,
    kind      TEXT NOT NULL,
    body      TEXT NOT NULL
) STRICT;
CREATE INDEX events_by_alarm ON events (alarm_id, id);
CREATE INDEX events_by_hunt ON events (hunt_id, id);

CREATE TABLE idempotency_keys (
    integration_id  TEXT NOT NULL,
    key             TEXT NOT NULL,
    request_hash    BLOB NOT NULL,
    alarm_id        BLOB NOT NULL REFERENCES alarms (id) ON DELETE CASCADE,
    created_at      TEXT NOT NULL,
    PRIMARY KEY (integration_id, key)
) STRICT;
