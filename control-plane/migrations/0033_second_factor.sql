-- What lets a person in who has lost the authenticator, once each; digest: by
-- a salt that only the process's key gives.

CREATE TABLE recovery_codes (
    person  TEXT NOT NULL REFERENCES users (id),
    digest  TEXT NOT NULL,
    PRIMARY KEY (person, digest)
);
