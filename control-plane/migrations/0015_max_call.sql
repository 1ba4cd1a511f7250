-- How long a call may take that an upstream answers by a stream.
ALTER TABLE apis ADD COLUMN max_call_ms BIGINT NOT NULL DEFAULT 1800000;
