-- What an answer covers: what came into an alarm after its call was handed out is rung for.
ALTER TABLE alarms ADD COLUMN worse_at TEXT;              -- its priority last rose
ALTER TABLE alarms ADD COLUMN news_at TEXT;               -- something last began to burn in it that had not
ALTER TABLE dial_targets ADD COLUMN connected_at TEXT;    -- a native handset says so
