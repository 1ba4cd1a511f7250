-- The address of a tenant's first administrator, until it is invited.
ALTER TABLE tenants ADD COLUMN invite TEXT;
