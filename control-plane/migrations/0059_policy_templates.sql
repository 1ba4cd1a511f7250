-- Policies made of templates: what a template was in each version, who has
-- made policies of it, and which these are.  made: what a set made of a
-- policy; drifted: the policy is not that any more.
CREATE TABLE policy_templates (
    id           TEXT   NOT NULL PRIMARY KEY,
    tenant       TEXT   NOT NULL REFERENCES tenants (id),
    name         TEXT   NOT NULL,
    title        TEXT,
    description  TEXT,
    latest       BIGINT NOT NULL,
    versions     TEXT   NOT NULL,
    created_at   BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL,
    ver          BIGINT NOT NULL,
    UNIQUE (tenant, name)
);

CREATE TABLE global_policy_templates (
    id           TEXT   NOT NULL PRIMARY KEY,
    name         TEXT   NOT NULL UNIQUE,
    title        TEXT,
    description  TEXT,
    latest       BIGINT NOT NULL,
    versions     TEXT   NOT NULL,
    created_at   BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL,
    ver          BIGINT NOT NULL
);

CREATE TABLE policy_sets (
    id               TEXT   NOT NULL PRIMARY KEY,
    tenant           TEXT   NOT NULL REFERENCES tenants (id),
    name             TEXT   NOT NULL,
    title            TEXT,
    template         TEXT   REFERENCES policy_templates (id),
    global_template  TEXT   REFERENCES global_policy_templates (id),
    version          BIGINT NOT NULL,
    parameters       TEXT,
    policies         BIGINT NOT NULL,
    made_at          BIGINT NOT NULL,
    created_at       BIGINT NOT NULL,
    updated_at       BIGINT NOT NULL,
    ver              BIGINT NOT NULL,
    UNIQUE (tenant, name)
);

CREATE INDEX policy_sets_template ON policy_sets (template);
CREATE INDEX policy_sets_global ON policy_sets (global_template);

ALTER TABLE policies ADD COLUMN policy_set TEXT;
ALTER TABLE policies ADD COLUMN made TEXT;
ALTER TABLE policies ADD COLUMN drifted BIGINT NOT NULL DEFAULT 0;

CREATE INDEX policies_set ON policies (policy_set);
