-- An application that is to get another owner, and what became of that.
CREATE TABLE handovers (
    id            TEXT   NOT NULL PRIMARY KEY,
    tenant        TEXT   NOT NULL REFERENCES tenants (id),
    state         TEXT   NOT NULL,
    application   TEXT   NOT NULL REFERENCES applications (id),
    owner         TEXT   NOT NULL,
    before        TEXT,
    reason        TEXT,
    requested_by  TEXT,
    requester     TEXT,
    decided_by    TEXT,
    decided_at    BIGINT,
    decision      TEXT,
    created_at    BIGINT NOT NULL,
    updated_at    BIGINT NOT NULL,
    ver           BIGINT NOT NULL
);

CREATE INDEX handovers_application ON handovers (application, state);
CREATE INDEX handovers_tenant ON handovers (tenant, id);
