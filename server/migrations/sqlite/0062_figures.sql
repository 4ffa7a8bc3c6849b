-- Figures of what happened, kept per day: what each alarm, hunt and call counts for, and sums of that. The Postgres file of the same number
-- holds the same tables and columns.

-- What each was counted for, which is taken off when it is counted anew.
CREATE TABLE counted_alarms (
    alarm_id   BLOB PRIMARY KEY REFERENCES alarms (id) ON DELETE CASCADE,
    counted    TEXT NOT NULL
) STRICT;
CREATE TABLE counted_hunts (
    hunt_id    BLOB PRIMARY KEY,                        -- also of one that is gone, until that is taken off
    counted    TEXT NOT NULL
) STRICT;
CREATE TABLE counted_calls (
    record_id  INTEGER PRIMARY KEY REFERENCES call_records (id) ON DELETE CASCADE,
    counted    TEXT NOT NULL
) STRICT;

-- What is to be counted anew, one thing a row: written with whatever changes it, and read by the one node that counts. Never changed, and
-- bound to nothing: what is read and what is written meanwhile are two rows, and nobody waits for a figure.
CREATE TABLE figures_due (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    alarm_id   BLOB,
    hunt_id    BLOB,
    record_id  INTEGER,
    mid        TEXT                                     -- each record of that dial
) STRICT;

-- What a hunt has from the one that its alarms left: it counts there.
CREATE TABLE hunt_copies (
    hunt_id    BLOB PRIMARY KEY REFERENCES hunts (id) ON DELETE CASCADE,
    inherited  TEXT NOT NULL
) STRICT;

CREATE TABLE figure_days (
    dimension  TEXT NOT NULL,                           -- all, team, policy, sender, person
    day        TEXT NOT NULL,
    subject    TEXT NOT NULL,                           -- of that dimension; empty: none
    figures    TEXT NOT NULL,
    PRIMARY KEY (dimension, day, subject)
) STRICT;
CREATE INDEX figure_days_by_subject ON figure_days (subject, dimension);

-- The same, added up, so that a year of many people is read quickly.
CREATE TABLE figure_months (
    dimension  TEXT NOT NULL,
    month      TEXT NOT NULL,                           -- its first day
    subject    TEXT NOT NULL,
    figures    TEXT NOT NULL,
    PRIMARY KEY (dimension, month, subject)
) STRICT;
CREATE INDEX figure_months_by_subject ON figure_months (subject, dimension);

-- That somebody said that an alarm is false, and why.
CREATE TABLE false_alarms (
    alarm_id   BLOB PRIMARY KEY REFERENCES alarms (id) ON DELETE CASCADE,
    reason     TEXT NOT NULL,
    marked_by  TEXT,                                    -- by their own word
    marked_at  TEXT NOT NULL
) STRICT;
