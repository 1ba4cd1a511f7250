-- What gateways are to forget of the answers that they keep: a list of each api.
CREATE TABLE cache_purges (
    api       TEXT   NOT NULL PRIMARY KEY REFERENCES apis (id)
              ON DELETE CASCADE,
    at_ms     BIGINT NOT NULL,
    floor_ms  BIGINT NOT NULL,
    items     TEXT   NOT NULL
);
