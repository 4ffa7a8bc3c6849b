-- A second installation watches this one, or this one another.

-- Whoever stands in for a phone in the tests of a monitor: it is given these and nothing else, and counts nowhere as a handset.
ALTER TABLE handsets ADD COLUMN monitor INTEGER NOT NULL DEFAULT 0;

-- What came of the tests of the installation that this one watches; there is one row at most.
CREATE TABLE monitored (
    one           INTEGER PRIMARY KEY CHECK (one = 1),
    turn          INTEGER NOT NULL,        -- grows whenever a node begins a test: who began an earlier one is too late
    taken_until   TEXT,                    -- a node makes one, and is believed to be at it until then
    tried_at      TEXT,                    -- when the last one was begun
    took_ms       INTEGER,                 -- how long it took
    stage         TEXT,                    -- how far it got; NULL: to its end
    failure       TEXT,                    -- what was seen there
    failures      INTEGER NOT NULL DEFAULT 0,  -- so many in a row failed
    failing_since TEXT,
    told_at       TEXT,                    -- when an alarm was raised for that
    good_at       TEXT                     -- when one came to its end last
) STRICT;

-- Whoever is told that backups fail is told so once.
ALTER TABLE backups ADD COLUMN told_at TEXT;

-- Lines of the audit log by or about one person, in their order; those by a name are so already.
DROP INDEX audit_personal_by_person;
CREATE INDEX audit_personal_by_person ON audit_personal (person_id, at, audit_id) WHERE person_id IS NOT NULL;
DROP INDEX audit_personal_about;
CREATE INDEX audit_personal_about ON audit_personal (about_id, at, audit_id) WHERE about_id IS NOT NULL;
