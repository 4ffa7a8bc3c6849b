-- What monitoring systems said of an alarm, and what was refused. The Postgres file of the same number holds the same tables and columns.

-- The key under which a group of alerts comes; several alarms of one group, of monitoring systems that know nothing of each other, may be
-- open, each under a dedup key of its own. Alarms that are open now are found under the key they have.
ALTER TABLE alarms ADD COLUMN group_key TEXT;
UPDATE alarms SET group_key = dedup_key WHERE dedup_open;
CREATE INDEX alarms_group_open ON alarms (integration_id, group_key) WHERE dedup_open;
CREATE INDEX alarms_group_ended ON alarms (integration_id, group_key, resolved_at) WHERE resolved_at IS NOT NULL AND group_key IS NOT NULL;

-- It rings again then because of something that nobody has taken.
ALTER TABLE alarms ADD COLUMN rings_for_news INTEGER NOT NULL DEFAULT 0;

-- Which alerts burn, as each address said; read and replaced as a whole.
CREATE TABLE alarm_burning (
    alarm_id  BLOB PRIMARY KEY REFERENCES alarms (id) ON DELETE CASCADE,
    burning   TEXT NOT NULL
) STRICT;

-- How many requests of a sender were refused, and why.
CREATE TABLE refusals (
    sender   TEXT NOT NULL,
    reason   TEXT NOT NULL,
    refused  INTEGER NOT NULL,
    last_at  TEXT NOT NULL,
    PRIMARY KEY (sender, reason)
) STRICT;
