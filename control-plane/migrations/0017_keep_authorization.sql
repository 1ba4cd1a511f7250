-- Upstreams that want the token, too.
ALTER TABLE apis ADD COLUMN keep_authorization BIGINT NOT NULL DEFAULT 0;
