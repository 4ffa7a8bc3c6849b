-- Requests that somebody else takes a shift, perhaps in exchange for one of theirs.

CREATE TABLE duty_swaps (
    id              UUID PRIMARY KEY,
    schedule_id     UUID NOT NULL REFERENCES schedules (id) ON DELETE CASCADE,
    person_id       UUID NOT NULL REFERENCES people (id) ON DELETE CASCADE,    -- whose shift it is
    starts_at       TIMESTAMPTZ NOT NULL,
    ends_at         TIMESTAMPTZ NOT NULL,
    other_id        UUID REFERENCES people (id) ON DELETE CASCADE,             -- who is asked; NULL: anybody of the team
    back_starts_at  TIMESTAMPTZ,                                                       -- the shift of theirs that is taken in exchange
    back_ends_at    TIMESTAMPTZ,
    note            TEXT NOT NULL,
    said            TEXT NOT NULL,                                            -- asked, accepted, declined, taken_back
    taken_by        UUID REFERENCES people (id) ON DELETE SET NULL,            -- who took it
    created_at      TIMESTAMPTZ NOT NULL,
    created_by      TEXT NOT NULL,
    said_at         TIMESTAMPTZ,                                                       -- when it was answered or taken back
    said_by         TEXT NOT NULL,                                            -- by whom
    over_at         TIMESTAMPTZ NOT NULL,                                              -- when the later of its shifts ends
    CHECK (starts_at < ends_at),
    CHECK ((back_starts_at IS NULL) = (back_ends_at IS NULL))
);
CREATE INDEX duty_swaps_open ON duty_swaps (starts_at) WHERE said = 'asked';
CREATE INDEX duty_swaps_over ON duty_swaps (over_at);
CREATE INDEX duty_swaps_schedule ON duty_swaps (schedule_id);
CREATE INDEX duty_swaps_person ON duty_swaps (person_id, created_at);
CREATE INDEX duty_swaps_other ON duty_swaps (other_id);
CREATE INDEX duty_swaps_taken ON duty_swaps (taken_by);

-- The calendar addresses of one person.
CREATE INDEX feeds_person ON feeds (person_id) WHERE revoked_at IS NULL;
