-- What each key may do. Whatever there was could do everything, and goes on: it is marked until somebody says what it may.

ALTER TABLE api_keys ADD COLUMN from_before INTEGER NOT NULL DEFAULT 0;  -- it has its rights from before there were any
ALTER TABLE api_keys ADD COLUMN bounds TEXT;                     -- which alarms it is bound to; NULL: none
ALTER TABLE api_keys ADD COLUMN expires_at TEXT;                 -- it is no good from then on; NULL: as long as it is not revoked
ALTER TABLE api_keys ADD COLUMN last_used_from TEXT;             -- the address of its last use
ALTER TABLE api_keys ADD COLUMN old_hash BLOB;                   -- the secret that it had before the one it has...
ALTER TABLE api_keys ADD COLUMN old_until TEXT;                  -- ... is good as well until then
CREATE UNIQUE INDEX api_keys_old_hash ON api_keys (old_hash) WHERE old_hash IS NOT NULL;

UPDATE api_keys SET from_before = 1, rights = CASE WHEN rights = '' THEN 'admin' ELSE 'admin,' || rights END
WHERE rights NOT IN ('phonecalls', 'mail');

-- Which right was last used when: by a key, or (open) without one.
CREATE TABLE rights_used (
    who      TEXT NOT NULL,
    name     TEXT NOT NULL,
    used_at  TEXT NOT NULL,
    PRIMARY KEY (who, name)
) STRICT;

-- One row: what open networks may do where the configuration does not say, and since when it is noted who uses what.
CREATE TABLE rights_begin (
    one          INTEGER PRIMARY KEY CHECK (one = 1),
    open         TEXT NOT NULL,
    noted_since  TEXT
) STRICT;
INSERT INTO rights_begin (one, open)
SELECT 1, CASE WHEN EXISTS (SELECT 1 FROM api_keys) OR EXISTS (SELECT 1 FROM alarms) OR EXISTS (SELECT 1 FROM handsets)
                    OR EXISTS (SELECT 1 FROM people) OR EXISTS (SELECT 1 FROM users)
               THEN 'admin' ELSE 'raise,read' END;

-- The alarms of a key.
CREATE INDEX alarms_by_integration ON alarms (integration_id, number);
