-- Calendars by address: a schedule follows a calendar that is kept elsewhere.

CREATE TABLE calendar_sources (
    schedule_id    BLOB PRIMARY KEY REFERENCES schedules (id) ON DELETE CASCADE,
    address        TEXT NOT NULL,                        -- often a secret: shown to nobody
    layer          TEXT NOT NULL,                        -- the name of the layer that holds what the calendar says
    every_minutes  INTEGER NOT NULL,
    set_at         TEXT NOT NULL,
    set_by         TEXT NOT NULL,
    turn           INTEGER NOT NULL,                        -- grows whenever somebody takes or sets it: who took an earlier turn is too late
    due_at         TEXT NOT NULL,
    taken_until    TEXT,
    asked_at       TEXT,
    good_at        TEXT,                                  -- when it could last be read
    etag           TEXT,                                 -- of what was read then
    last_modified  TEXT,
    rests_on       TEXT,                                 -- what else decides how it reads: people, zone, the layer itself
    reading        TEXT,                                  -- what was made of it
    changed_at     TEXT,                                  -- when it last changed the schedule
    change         TEXT,                                  -- how
    failures       INTEGER NOT NULL,                     -- in a row
    wrong_since    TEXT,
    trouble        TEXT,
    told           INTEGER NOT NULL                        -- a notice of it went out
) STRICT;
