-- Who is on duty now does not depend on what was changed for times that are over.
CREATE INDEX overrides_by_end ON overrides (ends_at);
CREATE INDEX temporaries_by_end ON temporaries (ends_at);
