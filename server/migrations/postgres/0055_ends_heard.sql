-- What was said to be over before anybody said that it burns. The SQLite file of the same number holds the same table and columns.

CREATE TABLE ends_heard (
    integration_id  TEXT NOT NULL,
    group_key       TEXT NOT NULL,
    burning         JSONB NOT NULL,
    heard_at        TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (integration_id, group_key)
);
CREATE INDEX ends_heard_at ON ends_heard (heard_at);
