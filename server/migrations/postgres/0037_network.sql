-- What the network itself says of a public number that one of our own handsets forwards.
ALTER TABLE hand_overs ADD COLUMN network_at TIMESTAMPTZ;           -- when it said so
ALTER TABLE hand_overs ADD COLUMN network_active BOOLEAN;           -- calls are forwarded
ALTER TABLE hand_overs ADD COLUMN network_number TEXT;              -- to whom
ALTER TABLE hand_overs ADD COLUMN network_error TEXT;               -- why it could not be asked the last time
ALTER TABLE hand_overs ADD COLUMN ask_at TIMESTAMPTZ;               -- when it is asked next
ALTER TABLE hand_overs ADD COLUMN question_id UUID;                 -- the command that asks
CREATE INDEX hand_overs_question ON hand_overs (question_id) WHERE question_id IS NOT NULL;
