-- A human's yes.
ALTER TABLE hunts ADD COLUMN wants_key INTEGER NOT NULL DEFAULT FALSE;    -- where a call asks for a key, nothing else in it is an answer
ALTER TABLE answers ADD COLUMN machine TEXT;                 -- what the handset took whoever picked up for: human, machine, unknown
