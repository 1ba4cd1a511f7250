-- Who may vouch for callers by tokens; keys: what verifies them, and when it
-- was read; the other columns are JSON as the resource has them.
CREATE TABLE issuers (
    id                 TEXT   NOT NULL PRIMARY KEY,
    tenant             TEXT   NOT NULL REFERENCES tenants (id),
    name               TEXT   NOT NULL,
    title              TEXT,
    state              TEXT   NOT NULL,
    issuer             TEXT   NOT NULL,
    audiences          TEXT,
    algorithms         TEXT,
    jwks_url           TEXT,
    jwks               TEXT,
    keys               TEXT,
    introspection      TEXT,
    claims             TEXT,
    clients            TEXT,
    application        TEXT   REFERENCES applications (id),
    application_names  BIGINT NOT NULL,
    scopes             TEXT,
    created_at         BIGINT NOT NULL,
    updated_at         BIGINT NOT NULL,
    ver                BIGINT NOT NULL,
    UNIQUE (tenant, name)
);
