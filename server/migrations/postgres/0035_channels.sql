-- A handset may hold several channels: calls at once. What is true of one of them only stands with it.
ALTER TABLE handsets ADD COLUMN channels INTEGER NOT NULL DEFAULT 1;   -- so many calls at once it is allowed
ALTER TABLE dials ADD COLUMN channel INTEGER NOT NULL DEFAULT 0;       -- counted from 0; a phone with one line has only that

DROP INDEX dials_one_per_handset;
CREATE UNIQUE INDEX dials_one_per_handset ON dials (handset_id, channel) WHERE closed_at IS NULL;
DROP INDEX dials_latest;
CREATE INDEX dials_latest ON dials (handset_id, channel, offered_at DESC);

CREATE TABLE handset_channels (
    handset_id      UUID NOT NULL REFERENCES handsets (id) ON DELETE CASCADE,
    channel         INTEGER NOT NULL,
    last_polled_at  TIMESTAMPTZ,                      -- as of the last time that was written down
    stuck_since     TIMESTAMPTZ,                      -- did not return after the deadline of a dial
    failures        INTEGER NOT NULL DEFAULT 0,       -- calls in a row that never left it
    avoid_until     TIMESTAMPTZ,                      -- others are preferred until then
    PRIMARY KEY (handset_id, channel)
);

-- The words of what a handset must be able to do to be given it, with commas between; empty: any handset will do.
ALTER TABLE hunts ADD COLUMN needs TEXT NOT NULL DEFAULT '';
