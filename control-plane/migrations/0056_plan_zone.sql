-- Where days and months of a plan's quotas begin; none: UTC.
ALTER TABLE plans ADD COLUMN time_zone TEXT;
