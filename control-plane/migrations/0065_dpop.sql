-- Tokens that are bound to a key: does an issuer give others, too?
ALTER TABLE issuers ADD COLUMN dpop TEXT NOT NULL DEFAULT 'allowed';
