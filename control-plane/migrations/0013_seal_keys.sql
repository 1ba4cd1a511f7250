-- What a group's key is for: identity, as before; or seal, by which its gateways
-- seal what clients keep for them (session ids).  Of those "public" is the
-- number that stands in the sealed text.
ALTER TABLE group_keys ADD COLUMN purpose TEXT NOT NULL DEFAULT 'identity';
