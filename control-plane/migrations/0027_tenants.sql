-- labels: a JSON object of texts; limits: a JSON object of numbers by kind.
ALTER TABLE tenants ADD COLUMN labels TEXT;
ALTER TABLE tenants ADD COLUMN limits TEXT;

CREATE INDEX operations_tenant ON operations (tenant);
