-- What must be unique is judged by what a transaction leaves behind, under the
-- feed's lock: two apis may exchange their paths, two operations theirs.  Only
-- what is served holds a route.
DROP INDEX apis_route;

CREATE INDEX apis_route
    ON apis (COALESCE(host, ''), COALESCE(base_path, '/'))
    WHERE host IS NOT NULL OR base_path IS NOT NULL;

CREATE TABLE operations_new (
    id          TEXT   NOT NULL PRIMARY KEY,
    tenant      TEXT   NOT NULL REFERENCES tenants (id),
    api         TEXT   NOT NULL REFERENCES apis (id),
    name        TEXT   NOT NULL,
    title       TEXT,
    state       TEXT   NOT NULL,
    method      TEXT   NOT NULL,
    path        TEXT   NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    ver         BIGINT NOT NULL,
    UNIQUE (api, name)
);

INSERT INTO operations_new (id, tenant, api, name, title, state, method, path,
        created_at, updated_at, ver)
    SELECT id, tenant, api, name, title, state, method, path, created_at,
        updated_at, ver
    FROM operations;

DROP TABLE operations;

ALTER TABLE operations_new RENAME TO operations;
