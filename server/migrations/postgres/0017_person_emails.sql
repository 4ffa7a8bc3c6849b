-- By which addresses calendars name people.
CREATE TABLE person_emails (
    email       TEXT PRIMARY KEY,                       -- in small letters
    person_id   UUID NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    position    INTEGER NOT NULL
);
CREATE INDEX person_emails_by_person ON person_emails (person_id, position);
