-- What somebody said otherwise than in a call, in one line of time: on their page.
CREATE INDEX answers_own_words ON answers (person_id, at DESC, id DESC) WHERE person_id IS NOT NULL AND mid IS NULL;
-- What was there before somebody came is found out once: which of the first steps are done.
CREATE TABLE first_steps (
    step     TEXT PRIMARY KEY,
    done_at  TEXT NOT NULL
) STRICT;
