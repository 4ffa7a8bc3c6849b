-- Calendar addresses that were revoked are not kept any more. The column stays: a node of an earlier version may still write it.
DELETE FROM feeds WHERE revoked_at IS NOT NULL;
