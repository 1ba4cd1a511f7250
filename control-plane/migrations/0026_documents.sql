-- OpenAPI documents of apis, a row per version; body: zlib, the last column,
-- which lists do not read.  imported: an operation that a document made.
CREATE TABLE api_documents (
    api         TEXT   NOT NULL REFERENCES apis (id),
    number      BIGINT NOT NULL,
    tenant      TEXT   NOT NULL REFERENCES tenants (id),
    digest      TEXT   NOT NULL,
    format      TEXT   NOT NULL,
    openapi     TEXT   NOT NULL,
    title       TEXT   NOT NULL,
    version     TEXT   NOT NULL,
    operations  BIGINT NOT NULL,
    bytes       BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    created_by  TEXT,
    body        {{BLOB}} NOT NULL,
    PRIMARY KEY (api, number)
);

ALTER TABLE operations ADD COLUMN imported BIGINT NOT NULL DEFAULT 0;
