-- What was answered to requests of operators that came with an Idempotency-Key. Raised alarms have keys of their own, since what they
-- were answered with is looked up anew.
CREATE TABLE repeated_requests (
    integration_id  TEXT NOT NULL,
    key             TEXT NOT NULL,
    -- Of method, address and body.
    request_hash    BLOB NOT NULL,
    began_at        TEXT NOT NULL,
    -- Null as long as the first one is under way.
    status          INTEGER,
    -- Where what was made is, and its version, as JSON.
    head            TEXT,
    body            TEXT,
    PRIMARY KEY (integration_id, key)
) STRICT;
CREATE INDEX repeated_requests_began ON repeated_requests (began_at);
