-- Until when the word of an alarm's source holds, which repeats itself. The Postgres file of the same number holds the same column.

ALTER TABLE alarms ADD COLUMN word_until TEXT;          -- without another word it is over then
CREATE INDEX alarms_word_until ON alarms (word_until) WHERE word_until IS NOT NULL;
