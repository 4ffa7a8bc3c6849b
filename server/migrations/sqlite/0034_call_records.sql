-- Every call to a number, what is known of it, and how. A record stands by itself: of its alarm, hunt and dial it holds copies, and these may go.
CREATE TABLE call_records (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    mid              TEXT NOT NULL,
    place            INTEGER NOT NULL,                  -- of the number in the dial's list
    origin           TEXT NOT NULL,
    direction        TEXT NOT NULL,
    kind             TEXT NOT NULL,
    hunt_id          BLOB,
    alarm_id         BLOB,
    alarm_number     INTEGER,
    callee_id        BLOB,
    person_id        BLOB,
    name             TEXT,
    number           TEXT NOT NULL,
    dialled_number   TEXT NOT NULL,                     -- as the handset was to dial it
    passes           INTEGER NOT NULL,                  -- how often the list holds it
    handset_id       BLOB,
    handset          TEXT,
    channel          INTEGER NOT NULL DEFAULT 1,
    offered_at       TEXT NOT NULL,
    dialled_at       TEXT,
    dialled_known    TEXT NOT NULL DEFAULT 'none',
    alerting_at      TEXT,
    alerting_known   TEXT NOT NULL DEFAULT 'none',
    connected_at     TEXT,
    connected_known  TEXT NOT NULL DEFAULT 'none',
    ended_at         TEXT,
    ended_known      TEXT NOT NULL DEFAULT 'none',
    reported_at      TEXT,
    outcome          TEXT NOT NULL DEFAULT 'unknown',
    ended_by         TEXT,
    cause            TEXT,
    keys             TEXT,
    action           TEXT,
    machine          TEXT,
    talk_seconds     INTEGER,
    heard            TEXT NOT NULL,                     -- the handset's words, from which the rest is made
    UNIQUE (mid, place)
) STRICT;
CREATE INDEX call_records_at ON call_records (offered_at, id);
CREATE INDEX call_records_by_hunt ON call_records (hunt_id, offered_at, id);
CREATE INDEX call_records_by_alarm ON call_records (alarm_id, offered_at, id);
CREATE INDEX call_records_by_person ON call_records (person_id, offered_at, id);
CREATE INDEX call_records_by_number ON call_records (number, offered_at, id);
CREATE INDEX call_records_by_handset ON call_records (handset_id, offered_at, id);
CREATE INDEX call_records_by_outcome ON call_records (outcome, offered_at, id);
CREATE INDEX call_records_by_kind ON call_records (kind, offered_at, id);

-- Whoever is called or calls, people and unknown numbers, by numbers of one sequence.
CREATE TABLE contacts (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    person_id  BLOB UNIQUE REFERENCES people (id) ON DELETE CASCADE,
    number     TEXT UNIQUE,
    CHECK ((person_id IS NULL) <> (number IS NULL))
) STRICT;

-- How far numeric ids have got. They are never given twice, also where the newest rows are gone, or the tables were copied from elsewhere.
CREATE TABLE identities (
    name      TEXT PRIMARY KEY,
    reached   INTEGER NOT NULL,
    noted_at  TEXT NOT NULL
) STRICT;
INSERT INTO sqlite_sequence (name, seq) VALUES ('call_records', 0), ('contacts', 0);
