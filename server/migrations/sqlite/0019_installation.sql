-- Which installation this is, and when a server last saw that it can write here.
CREATE TABLE installation (
    one       INTEGER PRIMARY KEY CHECK (one = 1),
    id        BLOB NOT NULL,
    wrote_at  TEXT NOT NULL
) STRICT;

-- What waits in the outboxes, by webhook and by gateway, however much was told before.
CREATE INDEX deliveries_waiting ON deliveries (webhook_id, at, id) WHERE delivered_at IS NULL AND gave_up_at IS NULL;
CREATE INDEX sms_outbox_waiting ON sms_outbox (gateway_id, due_at, id) WHERE sent_at IS NULL AND gave_up_at IS NULL;
