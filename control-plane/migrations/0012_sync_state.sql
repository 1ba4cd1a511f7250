-- Why a gateway has not what it should have, in its own words; '' from gateways
-- that do not tell.
ALTER TABLE gateway_status ADD COLUMN sync_state TEXT NOT NULL DEFAULT '';
ALTER TABLE gateway_status ADD COLUMN sync_error TEXT NOT NULL DEFAULT '';
