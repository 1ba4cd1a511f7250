-- Since when an api is deprecated, which its callers are told.
ALTER TABLE apis ADD COLUMN deprecated_at BIGINT;

-- The nearest that is known.
UPDATE apis SET deprecated_at = updated_at WHERE state = 'deprecated';

INSERT INTO feed_stale (kind, id)
    SELECT 'api', id FROM apis WHERE state = 'deprecated'
    ON CONFLICT DO NOTHING;
