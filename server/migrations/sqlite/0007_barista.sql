-- What a Barista client said of its call beside what every alarm has: its history is written from this.

CREATE TABLE barista_calls (
    alarm_id      BLOB PRIMARY KEY REFERENCES alarms (id) ON DELETE CASCADE,
    hostname      TEXT NOT NULL,
    operator      TEXT NOT NULL,
    frequency     INTEGER NOT NULL,                      -- as given, also where it means no call at all
    language      TEXT NOT NULL,
    head_id       INTEGER NOT NULL,
    foot_id       INTEGER NOT NULL,
    head_message  TEXT NOT NULL,                         -- the phrase as it was then
    message       TEXT NOT NULL,
    foot_message  TEXT NOT NULL,
    addressees    TEXT NOT NULL                          -- [{"order": 1, "number": "81…"}] as given, by the position of the callee
) STRICT;
