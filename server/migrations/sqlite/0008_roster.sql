-- The duty roster: teams, schedules, who is away, who was on duty, and calendars that others subscribe to.

CREATE TABLE teams (
    id          BLOB PRIMARY KEY,
    name        TEXT NOT NULL UNIQUE,
    version     INTEGER NOT NULL,                        -- grows with every change
    created_at  TEXT NOT NULL,
    updated_at  TEXT NOT NULL
) STRICT;

CREATE TABLE team_members (
    team_id    BLOB NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
    person_id  BLOB NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    position   INTEGER NOT NULL,
    PRIMARY KEY (team_id, person_id)
) STRICT;

CREATE TABLE schedules (
    id            BLOB PRIMARY KEY,
    name          TEXT NOT NULL UNIQUE,
    team_id       BLOB REFERENCES teams (id) ON DELETE SET NULL,
    zone          TEXT NOT NULL,                         -- IANA name
    gaps_allowed  INTEGER NOT NULL,
    version       INTEGER NOT NULL,                      -- grows with every change of the schedule or its layers
    log_due_at    TEXT NOT NULL,                         -- when the duty log must be looked at again
    created_at    TEXT NOT NULL,
    updated_at    TEXT NOT NULL,
    removed_at    TEXT                                   -- kept for the duty log
) STRICT;
CREATE INDEX schedules_log_due ON schedules (log_due_at) WHERE removed_at IS NULL;

CREATE TABLE layers (
    id           BLOB PRIMARY KEY,
    schedule_id  BLOB NOT NULL REFERENCES schedules (id) ON DELETE CASCADE,
    position     INTEGER NOT NULL,                       -- the first that has somebody decides
    name         TEXT NOT NULL,
    rule         TEXT NOT NULL,
    UNIQUE (schedule_id, position)
) STRICT;

CREATE TABLE overrides (
    id           BLOB PRIMARY KEY,
    schedule_id  BLOB NOT NULL REFERENCES schedules (id) ON DELETE CASCADE,
    starts_at    TEXT NOT NULL,
    ends_at      TEXT NOT NULL,
    action       TEXT NOT NULL,                          -- add, remove, replace
    person_id    BLOB NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    instead_of   BLOB REFERENCES people (id) ON DELETE CASCADE,
    note         TEXT NOT NULL,
    created_at   TEXT NOT NULL,
    created_by   TEXT NOT NULL,
    CHECK (starts_at < ends_at)
) STRICT;
CREATE INDEX overrides_by_schedule ON overrides (schedule_id, id);

CREATE TABLE temporaries (
    id           BLOB PRIMARY KEY,
    schedule_id  BLOB NOT NULL REFERENCES schedules (id) ON DELETE CASCADE,
    starts_at    TEXT NOT NULL,
    ends_at      TEXT NOT NULL,
    name         TEXT NOT NULL,
    rule         TEXT NOT NULL,
    created_at   TEXT NOT NULL,
    created_by   TEXT NOT NULL,
    CHECK (starts_at < ends_at)
) STRICT;
CREATE INDEX temporaries_by_schedule ON temporaries (schedule_id, id);

CREATE TABLE vacations (
    id          BLOB PRIMARY KEY,
    person_id   BLOB NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    starts_at   TEXT NOT NULL,
    ends_at     TEXT NOT NULL,
    note        TEXT NOT NULL,
    created_at  TEXT NOT NULL,
    created_by  TEXT NOT NULL,
    CHECK (starts_at < ends_at)
) STRICT;
CREATE INDEX vacations_by_person ON vacations (person_id, id);

-- Who came on duty when; only ever added to.
CREATE TABLE duty_log (
    schedule_id  BLOB NOT NULL REFERENCES schedules (id),
    at           TEXT NOT NULL,
    people       TEXT NOT NULL,                          -- ids, names and reasons at that moment; empty in a gap
    PRIMARY KEY (schedule_id, at)
) STRICT;

CREATE TABLE feeds (
    id           BLOB PRIMARY KEY,
    token_hash   BLOB NOT NULL UNIQUE,
    schedule_id  BLOB REFERENCES schedules (id) ON DELETE CASCADE,
    person_id    BLOB REFERENCES people (id) ON DELETE CASCADE,
    created_at   TEXT NOT NULL,
    created_by   TEXT NOT NULL,
    revoked_at   TEXT,
    CHECK ((schedule_id IS NULL) <> (person_id IS NULL))
) STRICT;
