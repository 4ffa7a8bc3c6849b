-- Who of several recipients of a message by mail is still to be told.

ALTER TABLE deliveries ADD COLUMN left_over TEXT;      -- NULL: everybody
