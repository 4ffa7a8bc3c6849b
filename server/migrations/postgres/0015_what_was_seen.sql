-- Who said no to all alarms of a hunt before it began: those of its policy's later steps are asked for then, and these are left out.
ALTER TABLE hunts ADD COLUMN refused JSONB;
-- How often something was overwritten by operators: whoever overwrites it takes its row first, so that two do not at once.
CREATE TABLE edits (
    what     TEXT PRIMARY KEY,
    changes  BIGINT NOT NULL
);
