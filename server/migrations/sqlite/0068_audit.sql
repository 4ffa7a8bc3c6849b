-- Who changed what, one line an act. Lines are only ever added; what is old enough is taken away by retention. The file for Postgres of the
-- same number holds the same tables and columns.
CREATE TABLE audit (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    at         TEXT NOT NULL,
    operation  TEXT NOT NULL,                           -- a word of the closed list
    kind       TEXT NOT NULL,                           -- with what it was done
    subject    TEXT,                                    -- which one: its id
    doer       TEXT NOT NULL,                           -- user, key, open_network, handset, link, text_message, command_line, server
    doer_id    TEXT                                     -- which user, key or handset
) STRICT;
CREATE INDEX audit_at ON audit (at, id);
CREATE INDEX audit_by_operation ON audit (operation, at, id);
CREATE INDEX audit_by_kind ON audit (kind, at, id);
CREATE INDEX audit_by_subject ON audit (subject, at, id) WHERE subject IS NOT NULL;

-- What of a line names somebody: it goes when they are erased, and the line stays.
CREATE TABLE audit_personal (
    audit_id   INTEGER PRIMARY KEY REFERENCES audit (id) ON DELETE CASCADE,
    at         TEXT NOT NULL,                           -- as the line
    person_id  BLOB,                                    -- the person who did it
    about_id   BLOB,                                    -- the person whom it is about
    doer_name  TEXT,                                    -- what whoever did it was called then
    said       TEXT,                                    -- in whose name, by their own word
    address    TEXT,                                    -- from where
    name       TEXT,                                    -- what the thing was called then
    before     TEXT,                                    -- JSON
    after      TEXT
) STRICT;
CREATE INDEX audit_personal_by_doer ON audit_personal (doer_name, at, audit_id) WHERE doer_name IS NOT NULL;
CREATE INDEX audit_personal_by_said ON audit_personal (said, at, audit_id) WHERE said IS NOT NULL;
CREATE INDEX audit_personal_by_name ON audit_personal (name, at, audit_id) WHERE name IS NOT NULL;
CREATE INDEX audit_personal_by_person ON audit_personal (person_id, audit_id) WHERE person_id IS NOT NULL;
CREATE INDEX audit_personal_about ON audit_personal (about_id, audit_id) WHERE about_id IS NOT NULL;

-- People who are being erased, or were: written first, so that one that was broken off goes on.
CREATE TABLE erasures (
    person_id  BLOB PRIMARY KEY,
    asked_at   TEXT NOT NULL,
    known      TEXT,                                    -- JSON: what they are found by; NULL once nothing is left
    step       TEXT NOT NULL,                           -- what is done next
    reached    TEXT NOT NULL,                           -- how far that has got
    done_at    TEXT
) STRICT;
CREATE INDEX erasures_open ON erasures (asked_at) WHERE done_at IS NULL;

-- A text message to or from a number is found by it.
CREATE INDEX sms_outbox_by_number ON sms_outbox (number, created_at);
