-- Words out: where to tell what happens, and the outbox that survives restarts.

CREATE TABLE webhooks (
    id           BLOB PRIMARY KEY,
    name         TEXT NOT NULL UNIQUE,
    url          TEXT NOT NULL,
    shape        TEXT NOT NULL,
    secret       TEXT,
    kinds        TEXT NOT NULL,                          -- ',raised,answered,'
    language     TEXT NOT NULL,
    created_at   TEXT NOT NULL,
    removed_at   TEXT
) STRICT;

CREATE TABLE deliveries (
    id            BLOB PRIMARY KEY,
    webhook_id    BLOB NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    kind          TEXT NOT NULL,
    alarm_id      BLOB REFERENCES alarms (id) ON DELETE CASCADE,
    hunt_id       BLOB REFERENCES hunts (id) ON DELETE CASCADE,
    body          TEXT NOT NULL,                        -- the event's particulars
    at            TEXT NOT NULL,
    due_at        TEXT NOT NULL,
    attempts      INTEGER NOT NULL,
    delivered_at  TEXT,
    gave_up_at    TEXT,
    last_result   TEXT
) STRICT;
CREATE INDEX deliveries_due ON deliveries (due_at, id) WHERE delivered_at IS NULL AND gave_up_at IS NULL;
CREATE INDEX deliveries_by_webhook ON deliveries (webhook_id, at DESC);
