-- How far the provider's admin events were looked after, by its own clock; when
-- that was, and what kept it from being so.
ALTER TABLE owner_looks ADD COLUMN events_ms BIGINT NOT NULL DEFAULT 0;
ALTER TABLE owner_looks ADD COLUMN events_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE owner_looks ADD COLUMN events_error TEXT NOT NULL DEFAULT '';

CREATE INDEX applications_pending ON applications (id)
    WHERE owner_seen = '{"state":"pending"}';
