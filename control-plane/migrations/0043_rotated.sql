-- A rotation looks for the predecessor of a key, not through all keys of its
-- application.
CREATE INDEX credentials_rotated ON credentials (rotated_to)
    WHERE rotated_to IS NOT NULL;
