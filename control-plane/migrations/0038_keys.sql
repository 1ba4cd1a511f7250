-- When a key was last used, and whether it was made elsewhere.
ALTER TABLE credentials ADD COLUMN last_used_at BIGINT;
ALTER TABLE credentials ADD COLUMN imported BIGINT;
