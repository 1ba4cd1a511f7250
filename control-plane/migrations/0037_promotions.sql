-- Promotions of apis from one gateway group to another.  snapshot: what is
-- promoted, as it was when it was asked for; before: what the target was.
CREATE TABLE promotions (
    id            TEXT   NOT NULL PRIMARY KEY,
    tenant        TEXT   NOT NULL REFERENCES tenants (id),
    state         TEXT   NOT NULL,
    api           TEXT   NOT NULL REFERENCES apis (id),
    "to"          TEXT   NOT NULL REFERENCES gateway_groups (id),
    target        TEXT   NOT NULL,
    instead       TEXT,
    reason        TEXT,
    requested_by  TEXT,
    requester     TEXT,
    decided_by    TEXT,
    decided_at    BIGINT,
    decision      TEXT,
    diff          TEXT,
    snapshot      TEXT,
    before        TEXT,
    created_at    BIGINT NOT NULL,
    updated_at    BIGINT NOT NULL,
    ver           BIGINT NOT NULL
);

CREATE INDEX promotions_target ON promotions (tenant, target, state);
CREATE INDEX promotions_api ON promotions (api);
