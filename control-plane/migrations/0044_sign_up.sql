-- Who may make himself a person of a tenant: nobody (off), who an
-- administrator enables (approve), anybody (open); and with what role.
ALTER TABLE tenants ADD COLUMN sign_up TEXT NOT NULL DEFAULT 'off';
ALTER TABLE tenants ADD COLUMN sign_up_role TEXT NOT NULL DEFAULT 'viewer';
