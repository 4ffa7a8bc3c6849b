-- Keys that are sent into a call may be somebody's secret: they stand beside the command, and only as long as it can be carried out.

ALTER TABLE live_commands ADD COLUMN digits TEXT;            -- NULL: there are none, or not any more
CREATE INDEX live_commands_digits ON live_commands (made_at) WHERE digits IS NOT NULL;
UPDATE live_commands SET what = jsonb_set(what, '{digits}', '""') WHERE what ? 'digits';
