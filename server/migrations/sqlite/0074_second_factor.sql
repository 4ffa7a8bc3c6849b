-- Roles for single teams, second factors, and from where somebody is logged in. The file for Postgres of the same number holds the same
-- tables and columns.

-- What a user may do for one team, beside what they may do everywhere.
CREATE TABLE team_roles (
    user_id  BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    team_id  BLOB NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
    role     TEXT NOT NULL,                              -- responder, lead
    PRIMARY KEY (user_id, team_id)
) STRICT;
CREATE INDEX team_roles_by_team ON team_roles (team_id);

-- What a user's app makes codes from.
CREATE TABLE second_factors (
    user_id       BLOB PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    secret        BLOB NOT NULL,
    made_at       TEXT NOT NULL,
    confirmed_at  TEXT,                                  -- NULL: no code has shown yet that the app has it, and none is asked for
    last_step     INTEGER NOT NULL,                      -- codes of this step, and of those before, were used up
    wrong         INTEGER NOT NULL,                      -- wrong codes since the last right one
    wrong_at      TEXT                                   -- the last of them
) STRICT;

-- Codes on paper, each good once.
CREATE TABLE recovery_codes (
    user_id    BLOB NOT NULL REFERENCES second_factors (user_id) ON DELETE CASCADE,
    code_hash  BLOB NOT NULL,
    used_at    TEXT,
    PRIMARY KEY (user_id, code_hash)
) STRICT;

ALTER TABLE sessions ADD COLUMN address TEXT;            -- from where it was last seen to be used; NULL: begun before this was noted
ALTER TABLE sessions ADD COLUMN browser TEXT;            -- what kind of browser it is, in words
