-- provision: what was asked for; provisioning: how far it is; both JSON.
ALTER TABLE tenants ADD COLUMN provision TEXT;
ALTER TABLE tenants ADD COLUMN provisioning TEXT;

CREATE INDEX tenants_state ON tenants (state);
