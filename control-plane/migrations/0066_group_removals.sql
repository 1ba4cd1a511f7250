-- Tenants that are gone, whose groups at the provider have to go, too.
CREATE TABLE group_removals (
    tenant    TEXT   NOT NULL PRIMARY KEY,
    name      TEXT   NOT NULL,
    attempts  BIGINT NOT NULL DEFAULT 0,
    next_ms   BIGINT NOT NULL DEFAULT 0
);
