-- Where the fields of a foreign form stand that a key sends, and how what it sends has to be signed.

ALTER TABLE api_keys ADD COLUMN places TEXT;       -- NULL: the common names
ALTER TABLE api_keys ADD COLUMN signing TEXT;      -- NULL: unsigned; holds a secret
