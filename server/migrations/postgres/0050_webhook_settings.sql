-- What a form of notices needs to know beside address and secret, and until when a service has asked to be left alone.

ALTER TABLE webhooks ADD COLUMN settings JSONB NOT NULL DEFAULT '{}';    -- may hold secrets
ALTER TABLE webhooks ADD COLUMN rests_until TIMESTAMPTZ;
