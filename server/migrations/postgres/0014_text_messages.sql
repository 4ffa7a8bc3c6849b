-- Text messages: when they were written, doubles by what they are, gateways that are heard of, and answers to replies.

-- Told times: the phone's clock (told_at) and, where that is told, the gateway's at the sending (sent_at). written_at is what counts.
ALTER TABLE sms_inbox ADD COLUMN same_key BYTEA;              -- the same text told again, by whichever event; NULL: the same words decide
ALTER TABLE sms_inbox ADD COLUMN told_at TIMESTAMPTZ;
ALTER TABLE sms_inbox ADD COLUMN told_zoned BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE sms_inbox ADD COLUMN sent_at TIMESTAMPTZ;
ALTER TABLE sms_inbox ADD COLUMN written_at TIMESTAMPTZ;
CREATE UNIQUE INDEX sms_inbox_same ON sms_inbox (same_key) WHERE same_key IS NOT NULL;
CREATE INDEX sms_inbox_by_gateway ON sms_inbox (gateway_id, received_at DESC);
CREATE INDEX sms_inbox_by_sender ON sms_inbox (sender, received_at DESC);

-- Words of one sender without a time and an id: the same within a minute, counted anew from each, are one message.
CREATE TABLE sms_same_words (
    words_key  BYTEA PRIMARY KEY,
    last_at    TIMESTAMPTZ NOT NULL,
    copies     INTEGER NOT NULL                              -- how often they were told again
);
CREATE INDEX sms_same_words_last ON sms_same_words (last_at);

ALTER TABLE sms_gateways ADD COLUMN inbound JSONB NOT NULL DEFAULT '{}';   -- its zone, and what it signs with
ALTER TABLE sms_gateways ADD COLUMN heard_at TIMESTAMPTZ;           -- it last reported anything
ALTER TABLE sms_gateways ADD COLUMN ping_at TIMESTAMPTZ;            -- it last said that it lives
ALTER TABLE sms_gateways ADD COLUMN ping_every_s INTEGER;    -- and how often it does
ALTER TABLE sms_gateways ADD COLUMN silent_since TIMESTAMPTZ;       -- people were told that it does not any more

ALTER TABLE sms_outbox ADD COLUMN purpose TEXT NOT NULL DEFAULT 'command';   -- command, answer or test
ALTER TABLE sms_outbox ADD COLUMN sentence JSONB;             -- what it says, to be put into words when it is sent; else its text
ALTER TABLE sms_outbox ADD COLUMN expires_at TIMESTAMPTZ;           -- not worth sending any more
ALTER TABLE sms_outbox ADD COLUMN gateway_ref TEXT;          -- what its gateway calls it
CREATE INDEX sms_outbox_by_ref ON sms_outbox (gateway_id, gateway_ref) WHERE gateway_ref IS NOT NULL;
CREATE INDEX sms_outbox_loose ON sms_outbox (created_at) WHERE hand_over_id IS NULL;
CREATE INDEX sms_outbox_answers ON sms_outbox (number, created_at) WHERE purpose = 'answer';

ALTER TABLE do_not_call ADD COLUMN by_text BOOLEAN NOT NULL DEFAULT FALSE;   -- its owner asked by text message, and may take it back so
