-- Removals of groups are something that people see, and try again.
ALTER TABLE group_removals RENAME COLUMN tenant TO id;
ALTER TABLE group_removals RENAME COLUMN next_ms TO next_at;
ALTER TABLE group_removals ADD COLUMN state TEXT NOT NULL DEFAULT 'pending';
ALTER TABLE group_removals ADD COLUMN error TEXT;
ALTER TABLE group_removals ADD COLUMN updated_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE group_removals ADD COLUMN ver BIGINT NOT NULL DEFAULT 1;
