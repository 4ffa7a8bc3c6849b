-- Whether an answer was confirmed with a key in a call; NULL in older rows, where confirmed_at = at tells it.
ALTER TABLE answers ADD COLUMN by_key INTEGER;
-- When people were told that the network forwards a public number elsewhere.
ALTER TABLE hand_overs ADD COLUMN network_trouble_at TEXT;
