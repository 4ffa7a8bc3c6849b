-- What is asked of an alarm to which a great deal happened.
CREATE INDEX events_noted ON events (alarm_id) WHERE kind = 'noted';
CREATE INDEX events_given_back ON events (alarm_id) WHERE kind = 'given_back';
