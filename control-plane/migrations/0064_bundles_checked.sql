-- Whether OPA itself has looked at what is in a bundle.
ALTER TABLE bundles ADD COLUMN checked BIGINT NOT NULL DEFAULT 0;
