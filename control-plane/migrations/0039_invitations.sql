-- Links that let somebody in: an invitation, or another password for a person
-- that is there.  digest is the SHA-256 of what the link says.  judged: whether
-- what the inviter's stored roles allow is looked at again when it is accepted.

CREATE TABLE invitations (
    id           TEXT   PRIMARY KEY,
    purpose      TEXT   NOT NULL,
    state        TEXT   NOT NULL,
    tenant       TEXT   REFERENCES tenants (id),
    mail         TEXT,
    mail_key     TEXT,
    role         TEXT,
    person       TEXT   REFERENCES users (id),
    inviter      TEXT,
    inviter_how  TEXT   NOT NULL,
    judged       BIGINT NOT NULL DEFAULT 0,
    digest       TEXT   NOT NULL UNIQUE,
    mailed       BIGINT NOT NULL DEFAULT 0,
    expires_at   BIGINT NOT NULL,
    created_at   BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL,
    ver          BIGINT NOT NULL
);

CREATE INDEX invitations_tenant ON invitations (tenant, state);
CREATE INDEX invitations_mail ON invitations (mail_key, state);
CREATE INDEX invitations_person ON invitations (person);
CREATE INDEX invitations_expires ON invitations (expires_at);
