-- Which installation this is, and when a server last saw that it can write here.
CREATE TABLE installation (
    one       INTEGER PRIMARY KEY CHECK (one = 1),
    id        BLOB NOT NULL,
    wrote_at  TEXT NOT NULL
) STRICT;
