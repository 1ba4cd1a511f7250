-- Where the apis of a tenant may be: ids of gateway groups as JSON.
ALTER TABLE tenants ADD COLUMN gateway_groups TEXT;
