-- Calls that come in are recorded as any: a recording belongs to the hunt whose call it was made in.

CREATE TABLE recordings_of_hunts (
    id             BLOB PRIMARY KEY,
    mid            TEXT NOT NULL,                            -- of the dial, or of the call that came in
    hunt_id        BLOB NOT NULL REFERENCES hunts (id) ON DELETE CASCADE,
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
INSERT INTO recordings_of_hunts (id, mid, hunt_id, name, callee_id, number, person_id, debug, named_at, seconds, bytes, media_id,
                                 upload_sha256, stored_at, gone_at)
SELECT r.id, r.mid, d.hunt_id, r.name, r.callee_id, r.number, r.person_id, r.debug, r.named_at, r.seconds, r.bytes, r.media_id,
       r.upload_sha256, r.stored_at, r.gone_at
FROM recordings r JOIN dials d ON d.mid = r.mid;
DROP TABLE recordings;
ALTER TABLE recordings_of_hunts RENAME TO recordings;
CREATE UNIQUE INDEX recordings_by_media ON recordings (media_id) WHERE media_id IS NOT NULL;
CREATE INDEX recordings_by_age ON recordings (debug, stored_at) WHERE media_id IS NOT NULL;
CREATE INDEX recordings_by_person ON recordings (person_id) WHERE person_id IS NOT NULL;
CREATE INDEX recordings_by_hunt ON recordings (hunt_id);

ALTER TABLE inbound_calls ADD COLUMN records TEXT;           -- why its handset was told to record; NULL: it was not
