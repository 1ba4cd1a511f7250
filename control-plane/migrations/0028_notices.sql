-- What tenants are told.  once: of two notices with the same there is one.
CREATE TABLE notices (
    id             TEXT   NOT NULL PRIMARY KEY,
    tenant         TEXT   NOT NULL REFERENCES tenants (id),
    kind           TEXT   NOT NULL,
    resource_kind  TEXT   NOT NULL,
    resource       TEXT   NOT NULL,
    text           TEXT   NOT NULL,
    once           TEXT   NOT NULL UNIQUE,
    created_at     BIGINT NOT NULL
);

CREATE INDEX notices_tenant ON notices (tenant, id);

-- Who has read which: the id of a token or a person.
CREATE TABLE notice_reads (
    notice  TEXT NOT NULL REFERENCES notices (id),
    reader  TEXT NOT NULL,
    PRIMARY KEY (notice, reader)
);

-- Whom a tenant's notices are mailed to.
CREATE TABLE notice_settings (
    tenant  TEXT NOT NULL PRIMARY KEY REFERENCES tenants (id),
    mail    TEXT,
    kinds   TEXT
);

-- Up to when ends were told of, a row for each table and span.
CREATE TABLE notice_marks (
    name     TEXT   NOT NULL PRIMARY KEY,
    upto_ms  BIGINT NOT NULL
);

-- Why and by which side a subscription is what it is.
ALTER TABLE subscriptions ADD COLUMN reason TEXT;
ALTER TABLE subscriptions ADD COLUMN decided_by TEXT;
ALTER TABLE subscriptions ADD COLUMN decided_at BIGINT;

-- Who is let in by a plan that asks its publisher of all others.
ALTER TABLE plans ADD COLUMN auto_roles TEXT;
