-- People: local ones, who log in by name or mail, and those of an OIDC
-- provider, who are known by issuer and subject and by nothing else: their
-- mail and name are for show and join nothing.  A mail has one form in
-- mail_key, of local people alone.

CREATE TABLE users (
    id            TEXT   PRIMARY KEY,
    name          TEXT   NOT NULL UNIQUE,
    title         TEXT,
    state         TEXT   NOT NULL,
    tenant        TEXT   REFERENCES tenants (id),
    mail          TEXT,
    mail_key      TEXT   UNIQUE,
    issuer        TEXT,
    subject       TEXT,
    login         TEXT,
    password      TEXT,
    must_change   BIGINT NOT NULL DEFAULT 0,
    second_factor BIGINT NOT NULL DEFAULT 0,
    totp          TEXT,
    totp_next     TEXT,
    totp_step     BIGINT NOT NULL DEFAULT 0,
    last_login_at BIGINT,
    created_at    BIGINT NOT NULL,
    updated_at    BIGINT NOT NULL,
    ver           BIGINT NOT NULL,
    UNIQUE (issuer, subject)
);

CREATE INDEX users_tenant ON users (tenant);

-- Who is logged in.  digest is the SHA-256 of what the cookie says, `was` that
-- of the cookie before, which parallel requests may still send for some
-- seconds.  rights is a digest of what the person may do: when it changes the
-- cookie does.

CREATE TABLE sessions (
    id         TEXT   PRIMARY KEY,
    person     TEXT   NOT NULL REFERENCES users (id),
    digest     TEXT   NOT NULL UNIQUE,
    was        TEXT,
    was_until  BIGINT NOT NULL DEFAULT 0,
    how        TEXT   NOT NULL,
    auth_at    BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    last_at    BIGINT NOT NULL,
    ends_at    BIGINT NOT NULL,
    rights     TEXT   NOT NULL,
    grants     TEXT,
    provider   TEXT,
    sid        TEXT,
    secret     TEXT,
    address    TEXT,
    agent      TEXT
);

CREATE INDEX sessions_person ON sessions (person, created_at);
CREATE INDEX sessions_was ON sessions (was);
CREATE INDEX sessions_sid ON sessions (provider, sid);
CREATE INDEX sessions_ends ON sessions (ends_at);

-- Failed attempts, by what is counted: an address, a name (that may be
-- nobody's), both together.

CREATE TABLE login_tries (
    what       TEXT   PRIMARY KEY,
    failures   BIGINT NOT NULL,
    until      BIGINT NOT NULL,
    last_at    BIGINT NOT NULL
);

CREATE INDEX login_tries_last ON login_tries (last_at);

-- What is to be told in the audit log, which is written later so that nobody
-- who logs in waits for its chain: alike things of a minute are one row.

CREATE TABLE login_news (
    minute     BIGINT NOT NULL,
    person     TEXT   NOT NULL,
    tenant     TEXT   NOT NULL,
    name       TEXT   NOT NULL,
    action     TEXT   NOT NULL,
    detail     TEXT   NOT NULL,
    address    TEXT   NOT NULL,
    request_id TEXT   NOT NULL,
    first_at   BIGINT NOT NULL,
    times      BIGINT NOT NULL,
    PRIMARY KEY (minute, person, action, detail)
);
