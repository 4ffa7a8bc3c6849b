-- What came of the backups that were made last, by the server or by a command; there is one row at most.

CREATE TABLE backups (
    one          INTEGER PRIMARY KEY CHECK (one = 1),
    turn         INTEGER NOT NULL,         -- grows whenever a node begins one: who began an earlier one is too late
    taken_until  TEXT,                     -- a node makes one, and is believed to be at it until then
    tried_at     TEXT,                     -- when the last one was begun that the server made by itself
    failure      TEXT,                     -- what was wrong with that; NULL: nothing
    failed_since TEXT,                     -- since when none has succeeded that the server made by itself
    made_at      TEXT,                     -- of what instant the last good one is
    place        TEXT,                     -- its file
    bytes        INTEGER,
    row_count    INTEGER
) STRICT;
