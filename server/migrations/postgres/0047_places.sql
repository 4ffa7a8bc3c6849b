-- How far something has got that goes on where it was: a file of calls that is read, calls that are sent elsewhere.
CREATE TABLE places (
    name      TEXT PRIMARY KEY,
    reached   TEXT NOT NULL,                 -- in the words of whoever goes on
    noted_at  TIMESTAMPTZ NOT NULL
);
