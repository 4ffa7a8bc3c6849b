-- What was said to be over before anybody said that it burns. The Postgres file of the same number holds the same table and columns.

CREATE TABLE ends_heard (
    integration_id  TEXT NOT NULL,
    group_key       TEXT NOT NULL,
    burning         TEXT NOT NULL,
    heard_at        TEXT NOT NULL,
    PRIMARY KEY (integration_id, group_key)
) STRICT;
CREATE INDEX ends_heard_at ON ends_heard (heard_at);
