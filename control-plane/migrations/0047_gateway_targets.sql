-- Targets as a gateway's checks found them: JSON, as it reported them.
ALTER TABLE gateway_status ADD COLUMN targets TEXT NOT NULL DEFAULT '[]';
