-- Handsets that people have removed, and how a request was answered that may come again.

-- Nobody sees it any more, and it is let in no more; what it rang keeps its name.
ALTER TABLE handsets ADD COLUMN removed_at TIMESTAMPTZ;

-- The first answer under the key was that an open alarm had come again.
ALTER TABLE idempotency_keys ADD COLUMN repeated BOOLEAN NOT NULL DEFAULT FALSE;
