-- What gateways are asked, one row for each; who has asked takes the answers
-- and removes them, or a job does.  A gateway has no address: it comes and
-- takes what is there for it.
CREATE TABLE questions (
    ask         TEXT   NOT NULL,
    gateway     TEXT   NOT NULL REFERENCES gateways (id) ON DELETE CASCADE,
    tenant      TEXT   NOT NULL,
    question    TEXT   NOT NULL,
    answer      TEXT,
    expires_ms  BIGINT NOT NULL,
    PRIMARY KEY (ask, gateway)
);

CREATE INDEX questions_gateway ON questions (gateway, expires_ms);
CREATE INDEX questions_tenant ON questions (tenant, expires_ms);

-- Which gateways wait for questions, and until when that is known.
CREATE TABLE gateway_ears (
    gateway   TEXT   NOT NULL PRIMARY KEY
              REFERENCES gateways (id) ON DELETE CASCADE,
    until_ms  BIGINT NOT NULL
);
