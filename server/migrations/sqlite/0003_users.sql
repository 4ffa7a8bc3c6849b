-- People who may open the pages, and their sessions.

CREATE TABLE users (
    id             BLOB PRIMARY KEY,
    name           TEXT NOT NULL UNIQUE,
    password_hash  TEXT NOT NULL,                        -- argon2id, as a PHC string
    role           TEXT NOT NULL,
    language       TEXT NOT NULL,                        -- empty: what the browser asks for
    person_id      BLOB REFERENCES people (id) ON DELETE SET NULL,
    created_at     TEXT NOT NULL,
    disabled_at    TEXT
) STRICT;

CREATE TABLE sessions (
    token_hash    BLOB PRIMARY KEY,
    user_id       BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at    TEXT NOT NULL,
    expires_at    TEXT NOT NULL,
    last_used_at  TEXT NOT NULL
) STRICT;
CREATE INDEX sessions_by_user ON sessions (user_id);
CREATE INDEX sessions_expiry ON sessions (expires_at);
