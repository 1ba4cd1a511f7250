-- What upstreams of MCP show besides tools, each like a tool: known to the
-- engine, in the feed, on or off.  Discovery fills it in at its next reading.
CREATE TABLE prompts (
    id          TEXT   NOT NULL PRIMARY KEY,
    tenant      TEXT   NOT NULL REFERENCES tenants (id),
    api         TEXT   NOT NULL REFERENCES apis (id),
    name        TEXT   NOT NULL,
    title       TEXT,
    state       TEXT   NOT NULL,
    definition  TEXT   NOT NULL,
    digest      TEXT   NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    ver         BIGINT NOT NULL,
    UNIQUE (api, name)
);

-- name: the URI.
CREATE TABLE resources (
    id          TEXT   NOT NULL PRIMARY KEY,
    tenant      TEXT   NOT NULL REFERENCES tenants (id),
    api         TEXT   NOT NULL REFERENCES apis (id),
    name        TEXT   NOT NULL,
    title       TEXT,
    state       TEXT   NOT NULL,
    definition  TEXT   NOT NULL,
    digest      TEXT   NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    ver         BIGINT NOT NULL,
    UNIQUE (api, name)
);

-- name: the template of URIs.
CREATE TABLE templates (
    id          TEXT   NOT NULL PRIMARY KEY,
    tenant      TEXT   NOT NULL REFERENCES tenants (id),
    api         TEXT   NOT NULL REFERENCES apis (id),
    name        TEXT   NOT NULL,
    title       TEXT,
    state       TEXT   NOT NULL,
    definition  TEXT   NOT NULL,
    digest      TEXT   NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    ver         BIGINT NOT NULL,
    UNIQUE (api, name)
);

DROP TABLE api_resources;
DROP TABLE api_prompts;

-- What is decided by name, of all four kinds.
CREATE TABLE item_states (
    api    TEXT NOT NULL REFERENCES apis (id),
    kind   TEXT NOT NULL,
    name   TEXT NOT NULL,
    state  TEXT NOT NULL,
    PRIMARY KEY (api, kind, name)
);

INSERT INTO item_states (api, kind, name, state)
    SELECT api, 'tool', name, state FROM tool_states;

DROP TABLE tool_states;

ALTER TABLE servers ADD COLUMN prompts TEXT;
ALTER TABLE servers ADD COLUMN resources TEXT;

