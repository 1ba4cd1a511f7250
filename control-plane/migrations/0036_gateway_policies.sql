-- Which types of policies a gateway knows, as it says: "name:version ..."; ''
-- from gateways that do not tell.
ALTER TABLE gateway_status ADD COLUMN policies TEXT NOT NULL DEFAULT '';
