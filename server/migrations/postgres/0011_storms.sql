-- Alarms for the same people join one hunt; teams take turns; quiet hours.

ALTER TABLE hunts ADD COLUMN join_key TEXT;                       -- alarms for the same people may join under it
ALTER TABLE hunts ADD COLUMN queue TEXT NOT NULL DEFAULT '';      -- hunts of one queue take turns with those of the others
CREATE UNIQUE INDEX hunts_join ON hunts (join_key) WHERE join_key IS NOT NULL;

CREATE TABLE queues (
    queue      TEXT PRIMARY KEY,
    served_at  TIMESTAMPTZ NOT NULL                               -- its last hand-out
);

CREATE TABLE quiet_hours (
    position   INTEGER PRIMARY KEY,
    person_id  UUID REFERENCES people (id) ON DELETE CASCADE,     -- NULL: everybody without quiet hours of their own
    from_time  TEXT NOT NULL,                                     -- wall times, such as 22:00
    to_time    TEXT NOT NULL,
    zone       TEXT NOT NULL,                                     -- IANA name
    up_to      INTEGER NOT NULL                                   -- alarms of this priority and below wait
);
