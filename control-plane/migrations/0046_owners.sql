-- Whom applications stand for at the provider of identities; what the last look
-- at all of them found, by whichever replica had the turn.
ALTER TABLE applications ADD COLUMN owner TEXT;
ALTER TABLE applications ADD COLUMN owner_seen TEXT;
ALTER TABLE applications ADD COLUMN disowned BIGINT;
CREATE INDEX applications_owner ON applications (id) WHERE owner IS NOT NULL;

CREATE TABLE owner_looks (
    id        BIGINT PRIMARY KEY,
    holder    TEXT NOT NULL,
    until_ms  BIGINT NOT NULL,
    at_ms     BIGINT NOT NULL,
    good_ms   BIGINT NOT NULL,
    took_ms   BIGINT NOT NULL,
    tied      BIGINT NOT NULL,
    disowned  BIGINT NOT NULL,
    error     TEXT NOT NULL
);
INSERT INTO owner_looks VALUES (1, '', 0, 0, 0, 0, 0, 0, '');
