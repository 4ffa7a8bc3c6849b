-- Keys of senders. A key is one integration: its alarms are told apart from those of the others.

CREATE TABLE api_keys (
    id            UUID PRIMARY KEY,
    name          TEXT NOT NULL UNIQUE,
    key_hash      BYTEA NOT NULL UNIQUE,
    phones        JSONB NOT NULL,                       -- whom to ring when an alarm names nobody
    created_at    TIMESTAMPTZ NOT NULL,
    last_used_at  TIMESTAMPTZ,
    revoked_at    TIMESTAMPTZ
);
