-- Sound: recordings of calls, and clips that calls play. A file is kept in pieces, each written in a transaction of its own.

CREATE TABLE media (
    id            BLOB PRIMARY KEY,
    made_at       TEXT NOT NULL,
    bytes         INTEGER NOT NULL,
    milliseconds  INTEGER NOT NULL,
    sha256        TEXT NOT NULL,                             -- of the file, in hexadecimal
    stored_at     TEXT                                -- NULL: pieces of it are still to be written
) STRICT;

CREATE TABLE media_pieces (
    media_id  BLOB NOT NULL REFERENCES media (id) ON DELETE CASCADE,
    place     INTEGER NOT NULL,                              -- counted from 0; all but the last are of one length
    bytes     BLOB NOT NULL,
    PRIMARY KEY (media_id, place)
) STRICT;

CREATE TABLE recordings (
    id             BLOB PRIMARY KEY,
    mid            TEXT NOT NULL REFERENCES dials (mid) ON DELETE CASCADE,
    name           TEXT NOT NULL,                            -- what its handset calls it
    callee_id      BLOB,
    number         TEXT NOT NULL,                            -- whose words they are, as far as that is known
    person_id      BLOB REFERENCES people (id) ON DELETE SET NULL,
    debug          INTEGER NOT NULL,                         -- recorded only to find out what is wrong
    named_at       TEXT NOT NULL,                     -- when its handset told of it
    seconds        INTEGER,                                   -- by its handset's word
    bytes          INTEGER,
    media_id       BLOB REFERENCES media (id),               -- NULL: not here yet, or not any more
    upload_sha256  TEXT,                                     -- of what the handset sent
    stored_at      TEXT,
    gone_at        TEXT,                              -- nobody wants it any more
    UNIQUE (mid, name)
) STRICT;
CREATE UNIQUE INDEX recordings_by_media ON recordings (media_id) WHERE media_id IS NOT NULL;
CREATE INDEX recordings_by_age ON recordings (debug, stored_at) WHERE media_id IS NOT NULL;
CREATE INDEX recordings_by_person ON recordings (person_id) WHERE person_id IS NOT NULL;

CREATE TABLE clips (
    name        TEXT PRIMARY KEY,
    media_id    BLOB NOT NULL UNIQUE REFERENCES media (id),
    updated_at  TEXT NOT NULL
) STRICT;

ALTER TABLE dials ADD COLUMN clip BLOB;                      -- what its handset was told to play
ALTER TABLE dials ADD COLUMN records TEXT;                   -- why its handset was told to record; NULL: it was not
CREATE INDEX dials_by_clip ON dials (clip) WHERE clip IS NOT NULL;
