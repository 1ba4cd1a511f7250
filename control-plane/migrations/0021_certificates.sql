-- What may be told of a secret that is a certificate with its key, as JSON.
ALTER TABLE secrets ADD COLUMN certificate TEXT;
ALTER TABLE global_secrets ADD COLUMN certificate TEXT;
