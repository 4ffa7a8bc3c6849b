-- Keys of senders. A key is one integration: its alarms are told apart from those of the others.

CREATE TABLE api_keys (
    id            BLOB PRIMARY KEY,
    name          TEXT NOT NULL UNIQUE,
    key_hash      BLOB NOT NULL UNIQUE,
    phones        TEXT NOT NULL,                       -- whom to ring when an alarm names nobody
    created_at    TEXT NOT NULL,
    last_used_at  TEXT,
    revoked_at    TEXT
) STRICT;
