-- A key may be bound to a certificate: its subject's name or another name in it, or its fingerprint. It is then taken only from whoever
-- shows that certificate.
ALTER TABLE api_keys ADD COLUMN certificate TEXT;
