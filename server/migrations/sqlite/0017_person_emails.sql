-- By which addresses calendars name people.
CREATE TABLE person_emails (
    email       TEXT PRIMARY KEY,                       -- in small letters
    person_id   BLOB NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    position    INTEGER NOT NULL
) STRICT;
CREATE INDEX person_emails_by_person ON person_emails (person_id, position);
