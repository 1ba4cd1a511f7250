-- Policies, a tenant's and the platform's; config and attach are JSON, attach
-- holds ids.
CREATE TABLE policies (
    id          TEXT   NOT NULL PRIMARY KEY,
    tenant      TEXT   NOT NULL REFERENCES tenants (id),
    name        TEXT   NOT NULL,
    title       TEXT,
    type        TEXT   NOT NULL,
    state       TEXT   NOT NULL,
    config      TEXT   NOT NULL,
    attach      TEXT,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    ver         BIGINT NOT NULL,
    UNIQUE (tenant, name)
);

CREATE TABLE global_policies (
    id          TEXT   NOT NULL PRIMARY KEY,
    name        TEXT   NOT NULL UNIQUE,
    title       TEXT,
    type        TEXT   NOT NULL,
    state       TEXT   NOT NULL,
    config      TEXT   NOT NULL,
    attach      TEXT,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    ver         BIGINT NOT NULL
);
