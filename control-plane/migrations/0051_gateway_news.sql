-- Which batches of refusals were taken: of a gateway, by the table in its memory
-- that numbers them; and how many rows since when, as they are bounded.
CREATE TABLE gateway_news (
    gateway   TEXT NOT NULL REFERENCES gateways (id) ON DELETE CASCADE,
    file      TEXT NOT NULL,
    batch     BIGINT NOT NULL,
    taken_ms  BIGINT NOT NULL,
    since_ms  BIGINT NOT NULL,
    n         BIGINT NOT NULL,
    PRIMARY KEY (gateway, file)
);
