-- Alarms are found by text: under which words each is kept, and which are to be looked at again for their words.

-- The number of the alarm is its rowid. The words are ours and stay as they are; the texts are not kept twice.
CREATE VIRTUAL TABLE sought USING fts5 (
    words, content = '', contentless_delete = 1, detail = none, tokenize = "ascii tokenchars '_'"
);
CREATE TRIGGER sought_gone AFTER DELETE ON alarms BEGIN
    DELETE FROM sought WHERE rowid = old.number;
END;

-- Written with whatever changes an alarm, and read by the tick. Never changed: what is read and what is written meanwhile are two rows.
CREATE TABLE sought_due (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    alarm_id  BLOB REFERENCES alarms (id) ON DELETE CASCADE,
    hunt_id   BLOB REFERENCES hunts (id) ON DELETE CASCADE   -- each alarm that was in it
) STRICT;

-- What alarms are asked for by.
CREATE INDEX alarms_by_team ON alarms (team, number) WHERE team IS NOT NULL;
