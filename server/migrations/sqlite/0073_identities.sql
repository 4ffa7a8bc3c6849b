-- By what people are known to those who may say who somebody is: a provider of logins, or a proxy in front. The file for Postgres of the
-- same number holds the same tables and columns.
CREATE TABLE known_elsewhere (
    id            BLOB PRIMARY KEY,
    issuer        TEXT NOT NULL,                        -- the provider's own address; "proxy" for the proxy in front
    subject       TEXT NOT NULL,                        -- what they are called there, and nobody else ever is
    user_id       BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at    TEXT NOT NULL,
    last_used_at  TEXT NOT NULL,
    UNIQUE (issuer, subject)
) STRICT;
CREATE INDEX known_elsewhere_by_user ON known_elsewhere (user_id);

-- Logins by a provider that have come back, so that none comes back twice. They are forgotten as soon as they are too old anyway.
CREATE TABLE used_logins (
    login_hash  BLOB PRIMARY KEY,
    used_at     TEXT NOT NULL
) STRICT;
CREATE INDEX used_logins_by_time ON used_logins (used_at);

ALTER TABLE sessions ADD COLUMN vouched_by TEXT;          -- oidc, proxy; NULL: by a password
