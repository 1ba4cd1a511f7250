-- Bundles of rules and data for Open Policy Agents.
CREATE TABLE bundles (
    id          TEXT   NOT NULL PRIMARY KEY,
    tenant      TEXT   NOT NULL REFERENCES tenants (id),
    name        TEXT   NOT NULL,
    title       TEXT,
    revision    TEXT   NOT NULL,
    roots       TEXT,
    modules     TEXT,
    data        TEXT,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    ver         BIGINT NOT NULL,
    UNIQUE (tenant, name)
);
