-- Logins at the provider of identities: by which rules their roles were made,
-- and what may be used once, until then: attempts to log in, logout tokens,
-- logins of the provider's that have ended.
ALTER TABLE sessions ADD COLUMN rules TEXT;

CREATE TABLE login_marks (
    what       TEXT   PRIMARY KEY,
    until_at   BIGINT NOT NULL
);

CREATE INDEX login_marks_until ON login_marks (until_at);

-- When somebody's token was last seen, in days.
ALTER TABLE users ADD COLUMN seen_at BIGINT;
