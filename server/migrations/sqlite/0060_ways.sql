-- By which of their numbers, and how long after their turn has come, people want to be called and told.

ALTER TABLE person_told ADD COLUMN ways TEXT NOT NULL DEFAULT '[]';   -- [{by: call|text, phone_number, after_seconds}]; empty: their first number, at once
ALTER TABLE callees ADD COLUMN after_s INTEGER;                        -- rung so long after their turn has come; NULL: by no way of their own
ALTER TABLE callees ADD COLUMN asked_at TEXT;                   -- when that was; NULL: not yet, or it is of no matter
