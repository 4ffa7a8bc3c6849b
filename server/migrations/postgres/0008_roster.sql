-- The duty roster: teams, schedules, who is away, who was on duty, and calendars that others subscribe to.

CREATE TABLE teams (
    id          UUID PRIMARY KEY,
    name        TEXT NOT NULL UNIQUE,
    version     INTEGER NOT NULL,                        -- grows with every change
    created_at  TIMESTAMPTZ NOT NULL,
    updated_at  TIMESTAMPTZ NOT NULL
);

CREATE TABLE team_members (
    team_id    UUID NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
    person_id  UUID NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    position   INTEGER NOT NULL,
    PRIMARY KEY (team_id, person_id)
);

CREATE TABLE schedules (
    id            UUID PRIMARY KEY,
    name          TEXT NOT NULL UNIQUE,
    team_id       UUID REFERENCES teams (id) ON DELETE SET NULL,
    zone          TEXT NOT NULL,                         -- IANA name
    gaps_allowed  BOOLEAN NOT NULL,
    version       INTEGER NOT NULL,                      -- grows with every change of the schedule or its layers
    log_due_at    TIMESTAMPTZ NOT NULL,                         -- when the duty log must be looked at again
    created_at    TIMESTAMPTZ NOT NULL,
    updated_at    TIMESTAMPTZ NOT NULL,
    removed_at    TIMESTAMPTZ                                   -- kept for the duty log
);
CREATE INDEX schedules_log_due ON schedules (log_due_at) WHERE removed_at IS NULL;

CREATE TABLE layers (
    id           UUID PRIMARY KEY,
    schedule_id  UUID NOT NULL REFERENCES schedules (id) ON DELETE CASCADE,
    position     INTEGER NOT NULL,                       -- the first that has somebody decides
    name         TEXT NOT NULL,
    rule         JSONB NOT NULL,
    UNIQUE (schedule_id, position)
);

CREATE TABLE overrides (
    id           UUID PRIMARY KEY,
    schedule_id  UUID NOT NULL REFERENCES schedules (id) ON DELETE CASCADE,
    starts_at    TIMESTAMPTZ NOT NULL,
    ends_at      TIMESTAMPTZ NOT NULL,
    action       TEXT NOT NULL,                          -- add, remove, replace
    person_id    UUID NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    instead_of   UUID REFERENCES people (id) ON DELETE CASCADE,
    note         TEXT NOT NULL,
    created_at   TIMESTAMPTZ NOT NULL,
    created_by   TEXT NOT NULL,
    CHECK (starts_at < ends_at)
);
CREATE INDEX overrides_by_schedule ON overrides (schedule_id, id);

CREATE TABLE temporaries (
    id           UUID PRIMARY KEY,
    schedule_id  UUID NOT NULL REFERENCES schedules (id) ON DELETE CASCADE,
    starts_at    TIMESTAMPTZ NOT NULL,
    ends_at      TIMESTAMPTZ NOT NULL,
    name         TEXT NOT NULL,
    rule         JSONB NOT NULL,
    created_at   TIMESTAMPTZ NOT NULL,
    created_by   TEXT NOT NULL,
    CHECK (starts_at < ends_at)
);
CREATE INDEX temporaries_by_schedule ON temporaries (schedule_id, id);

CREATE TABLE vacations (
    id          UUID PRIMARY KEY,
    person_id   UUID NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    starts_at   TIMESTAMPTZ NOT NULL,
    ends_at     TIMESTAMPTZ NOT NULL,
    note        TEXT NOT NULL,
    created_at  TIMESTAMPTZ NOT NULL,
    created_by  TEXT NOT NULL,
    CHECK (starts_at < ends_at)
);
CREATE INDEX vacations_by_person ON vacations (person_id, id);

-- Who came on duty when; only ever added to.
CREATE TABLE duty_log (
    schedule_id  UUID NOT NULL REFERENCES schedules (id),
    at           TIMESTAMPTZ NOT NULL,
    people       JSONB NOT NULL,                          -- ids, names and reasons at that moment; empty in a gap
    PRIMARY KEY (schedule_id, at)
);

CREATE TABLE feeds (
    id           UUID PRIMARY KEY,
    token_hash   BYTEA NOT NULL UNIQUE,
    schedule_id  UUID REFERENCES schedules (id) ON DELETE CASCADE,
    person_id    UUID REFERENCES people (id) ON DELETE CASCADE,
    created_at   TIMESTAMPTZ NOT NULL,
    created_by   TEXT NOT NULL,
    revoked_at   TIMESTAMPTZ,
    CHECK ((schedule_id IS NULL) <> (person_id IS NULL))
);
