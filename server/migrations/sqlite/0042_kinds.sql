-- What an alarm and its hunts are for: alarm, test, shout or call.
ALTER TABLE alarms ADD COLUMN kind TEXT NOT NULL DEFAULT 'alarm';
ALTER TABLE hunts ADD COLUMN kind TEXT NOT NULL DEFAULT 'alarm';

-- Test calls came through a door of their own.
UPDATE alarms SET kind = 'test' WHERE integration_id = 'test call';
UPDATE hunts SET kind = 'test' WHERE id IN (
    SELECT l.hunt_id FROM alarms a JOIN alarm_hunts l ON l.alarm_id = a.id WHERE a.kind = 'test');

CREATE INDEX alarms_by_kind ON alarms (kind, number);
