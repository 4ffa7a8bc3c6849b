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

-- What was counted and is not in the sums yet: written by whatever counts, in its transaction, so that nobody waits for a sum.
CREATE TABLE figure_changes (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    change  TEXT NOT NULL
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
