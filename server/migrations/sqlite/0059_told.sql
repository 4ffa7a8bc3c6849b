-- How people are told by text message: their settings, the alarms that a message told them of, and the duties.

CREATE TABLE person_told (
    person_id      BLOB PRIMARY KEY REFERENCES people (id) ON DELETE CASCADE,
    alarm_texts    TEXT NOT NULL,                       -- policy, always or never
    shift_minutes  INTEGER,                             -- told so long before a shift of theirs begins; NULL: not told
    put_on_duty    INTEGER NOT NULL                     -- told when somebody else puts them on duty
) STRICT;
CREATE INDEX person_told_shifts ON person_told (person_id) WHERE shift_minutes IS NOT NULL;
CREATE INDEX person_told_put ON person_told (person_id) WHERE put_on_duty;

-- One alarm that one message told somebody of: once for each urgency that it had.
CREATE TABLE alarm_texts (
    alarm_id   BLOB NOT NULL REFERENCES alarms (id) ON DELETE CASCADE,
    whom       TEXT NOT NULL,                           -- a person, or the phone of a number that is nobody's
    priority   INTEGER NOT NULL,
    sms_id     BLOB NOT NULL,                           -- the message; it is forgotten earlier
    code       TEXT NOT NULL,                           -- by which a reply names it
    callee_id  BLOB NOT NULL,                           -- as whom they were rung then
    hunt_id    BLOB NOT NULL,                           -- by which hunt
    at         TEXT NOT NULL,
    PRIMARY KEY (alarm_id, whom, priority)
) STRICT;
CREATE INDEX alarm_texts_of ON alarm_texts (whom, at);
CREATE INDEX alarm_texts_by_sms ON alarm_texts (sms_id);

-- A duty that somebody was told of.
CREATE TABLE duty_texts (
    kind         TEXT NOT NULL,                         -- shift: that it begins; change: that somebody put them on it
    person_id    BLOB NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    schedule_id  BLOB NOT NULL REFERENCES schedules (id) ON DELETE CASCADE,
    starts_at    TEXT NOT NULL,
    PRIMARY KEY (person_id, schedule_id, starts_at, kind)
) STRICT;
CREATE INDEX duty_texts_schedule ON duty_texts (schedule_id);
CREATE INDEX duty_texts_by_time ON duty_texts (starts_at);
