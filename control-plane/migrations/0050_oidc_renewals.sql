-- When a login at the provider is asked for again.
ALTER TABLE sessions ADD COLUMN refresh_at BIGINT;

CREATE INDEX sessions_refresh ON sessions (refresh_at)
    WHERE refresh_at IS NOT NULL;
