-- How long a call of an operation may take; 0: as its api says.
ALTER TABLE operations ADD COLUMN first_byte_timeout_ms BIGINT NOT NULL DEFAULT 0;
ALTER TABLE operations ADD COLUMN total_timeout_ms BIGINT NOT NULL DEFAULT 0;
