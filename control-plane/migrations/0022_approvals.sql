-- Calls of tools that wait for a person's yes.  arguments: as they would be
-- sent, without white space, or with members that the policy hides.
CREATE TABLE approvals (
    id           TEXT   NOT NULL PRIMARY KEY,
    tenant       TEXT   NOT NULL REFERENCES tenants (id),
    state        TEXT   NOT NULL,
    api          TEXT   NOT NULL REFERENCES apis (id),
    tool         TEXT   NOT NULL,
    consumer     TEXT   NOT NULL REFERENCES tenants (id),
    application  TEXT   NOT NULL REFERENCES applications (id),
    subject      TEXT,
    principal    TEXT,
    digest       TEXT   NOT NULL,
    arguments    TEXT   NOT NULL,
    expires_at   BIGINT NOT NULL,
    decided_by   TEXT,
    decided_at   BIGINT,
    reason       TEXT,
    used_at      BIGINT,
    gateway      TEXT   NOT NULL,
    request_id   TEXT,
    created_at   BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL,
    ver          BIGINT NOT NULL
);

CREATE INDEX approvals_call ON approvals (application, digest);
CREATE INDEX approvals_state ON approvals (state, expires_at);
CREATE INDEX approvals_tenant ON approvals (tenant, id);
