-- What gateways do with a plan's limits when the Redis that they share them by
-- is away; whether a gateway shares them.
ALTER TABLE plans ADD COLUMN on_store_failure TEXT NOT NULL DEFAULT 'local_share';
ALTER TABLE gateway_status ADD COLUMN limits TEXT NOT NULL DEFAULT '';
