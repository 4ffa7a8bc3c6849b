-- Hunts whose numbers could not be masked when their time came: an alarm of theirs was not over.
CREATE TABLE hunts_to_mask (
    hunt_id  UUID PRIMARY KEY REFERENCES hunts (id) ON DELETE CASCADE
);
