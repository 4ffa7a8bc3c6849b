-- Hunts whose numbers could not be masked when their time came: an alarm of theirs was not over.
CREATE TABLE unmasked_hunts (
    hunt_id  UUID PRIMARY KEY REFERENCES hunts (id) ON DELETE CASCADE
);
