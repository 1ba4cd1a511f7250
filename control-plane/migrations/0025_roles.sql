-- A tenant's own roles; permissions: JSON, names of the table of permissions.
CREATE TABLE roles (
    id           TEXT   NOT NULL PRIMARY KEY,
    tenant       TEXT   NOT NULL REFERENCES tenants (id),
    name         TEXT   NOT NULL,
    title        TEXT,
    permissions  TEXT   NOT NULL,
    created_at   BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL,
    ver          BIGINT NOT NULL,
    UNIQUE (tenant, name)
);

-- Who holds which role; role: the name of a built-in one or of the tenant's.
CREATE TABLE role_bindings (
    id          TEXT   NOT NULL PRIMARY KEY,
    tenant      TEXT   NOT NULL REFERENCES tenants (id),
    "user"      TEXT   NOT NULL,
    role        TEXT   NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    ver         BIGINT NOT NULL,
    UNIQUE ("user", tenant, role)
);

CREATE INDEX role_bindings_tenant ON role_bindings (tenant, role);

CREATE TABLE global_role_bindings (
    id          TEXT   NOT NULL PRIMARY KEY,
    "user"      TEXT   NOT NULL,
    role        TEXT   NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    ver         BIGINT NOT NULL,
    UNIQUE ("user", role)
);
