-- Words out: where to tell what happens, and the outbox that survives restarts.

CREATE TABLE webhooks (
    id           UUID PRIMARY KEY,
    name         TEXT NOT NULL UNIQUE,
    url          TEXT NOT NULL,
    shape        TEXT NOT NULL,
    secret       TEXT,
    kinds        TEXT NOT NULL,                          -- ',raised,answered,'
    language     TEXT NOT NULL,
    created_at   TIMESTAMPTZ NOT NULL,
    removed_at   TIMESTAMPTZ
);

CREATE TABLE deliveries (
    id            UUID PRIMARY KEY,
    webhook_id    UUID NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    kind          TEXT NOT NULL,
    alarm_id      UUID REFERENCES alarms (id) ON DELETE CASCADE,
    hunt_id       UUID REFERENCES hunts (id) ON DELETE CASCADE,
    body          JSONB NOT NULL,                        -- the event's particulars
    at            TIMESTAMPTZ NOT NULL,
    due_at        TIMESTAMPTZ NOT NULL,
    attempts      INTEGER NOT NULL,
    delivered_at  TIMESTAMPTZ,
    gave_up_at    TIMESTAMPTZ,
    last_result   TEXT
);
CREATE INDEX deliveries_due ON deliveries (due_at, id) WHERE delivered_at IS NULL AND gave_up_at IS NULL;
CREATE INDEX deliveries_by_webhook ON deliveries (webhook_id, at DESC);
