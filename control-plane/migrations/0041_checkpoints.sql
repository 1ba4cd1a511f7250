-- What was signed last of each chain: from row first_seq, which follows
-- first_prev, to row seq.  What is before first_seq was pruned.
CREATE TABLE audit_mark (
    tenant      TEXT   NOT NULL PRIMARY KEY,
    number      BIGINT NOT NULL,
    at          BIGINT NOT NULL,
    first_seq   BIGINT NOT NULL,
    first_prev  TEXT   NOT NULL,
    seq         BIGINT NOT NULL,
    hash        TEXT   NOT NULL,
    signature   TEXT   NOT NULL
);

-- Each over all the marks of its time, and over the one before it.
CREATE TABLE audit_checkpoint (
    number     BIGINT NOT NULL PRIMARY KEY,
    at         BIGINT NOT NULL,
    text       TEXT   NOT NULL,
    signature  TEXT   NOT NULL
);
