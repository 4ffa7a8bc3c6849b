-- By which what a person called off is found, while its source goes on telling of it. The same for both databases.

CREATE INDEX alarms_group_called_off ON alarms (integration_id, group_key, cancelled_at) WHERE cancelled_at IS NOT NULL AND group_key IS NOT NULL;
