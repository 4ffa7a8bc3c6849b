-- Alarms are found by text: under which words each is kept, and which are to be looked at again for their words.

CREATE TABLE sought (
    number  BIGINT PRIMARY KEY REFERENCES alarms (number) ON DELETE CASCADE,
    words   TSVECTOR NOT NULL
);
CREATE INDEX sought_words ON sought USING gin (words) WITH (gin_pending_list_limit = 512);

-- Written with whatever changes an alarm, and read by the tick. Never changed: what is read and what is written meanwhile are two rows.
CREATE TABLE sought_due (
    id        BIGSERIAL PRIMARY KEY,
    alarm_id  UUID REFERENCES alarms (id) ON DELETE CASCADE,
    hunt_id   UUID REFERENCES hunts (id) ON DELETE CASCADE   -- each alarm that was in it
);

-- What alarms are asked for by.
CREATE INDEX alarms_by_team ON alarms (team, number) WHERE team IS NOT NULL;
