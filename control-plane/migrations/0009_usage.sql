-- Counts by key and by both tenants.
--   tenant    whose api it was; consumer: whose application, '' when nobody's
--   h0..h24   count the latencies below 2^(6..30) us, h25 the rest
CREATE TABLE usage_new (
    tenant        TEXT   NOT NULL,
    start_ms      BIGINT NOT NULL,
    application   TEXT   NOT NULL,
    subscription  TEXT   NOT NULL,
    api           TEXT   NOT NULL,
    operation     TEXT   NOT NULL,
    credential    TEXT   NOT NULL,
    refused       TEXT   NOT NULL,
    consumer      TEXT   NOT NULL,
    c2xx          BIGINT NOT NULL,
    c3xx          BIGINT NOT NULL,
    c4xx          BIGINT NOT NULL,
    c5xx          BIGINT NOT NULL,
    bytes_in      BIGINT NOT NULL,
    bytes_out     BIGINT NOT NULL,
    h0            BIGINT NOT NULL,
    h1            BIGINT NOT NULL,
    h2            BIGINT NOT NULL,
    h3            BIGINT NOT NULL,
    h4            BIGINT NOT NULL,
    h5            BIGINT NOT NULL,
    h6            BIGINT NOT NULL,
    h7            BIGINT NOT NULL,
    h8            BIGINT NOT NULL,
    h9            BIGINT NOT NULL,
    h10           BIGINT NOT NULL,
    h11           BIGINT NOT NULL,
    h12           BIGINT NOT NULL,
    h13           BIGINT NOT NULL,
    h14           BIGINT NOT NULL,
    h15           BIGINT NOT NULL,
    h16           BIGINT NOT NULL,
    h17           BIGINT NOT NULL,
    h18           BIGINT NOT NULL,
    h19           BIGINT NOT NULL,
    h20           BIGINT NOT NULL,
    h21           BIGINT NOT NULL,
    h22           BIGINT NOT NULL,
    h23           BIGINT NOT NULL,
    h24           BIGINT NOT NULL,
    h25           BIGINT NOT NULL,
    PRIMARY KEY (tenant, start_ms, application, subscription, api, operation,
                 credential, refused)
);

-- What was beyond a second is somewhere beyond it.
INSERT INTO usage_new
    SELECT tenant, start_ms, application, subscription, api, operation, '',
        refused, COALESCE((SELECT a.tenant FROM applications a
            WHERE a.id = usage_minute.application), ''),
        c2xx, c3xx, c4xx, c5xx, bytes_in, bytes_out, h0, h1, h2, h3, h4, h5,
        h6, h7, h8, h9, h10, h11, h12, h13, h14, h15, 0, 0, 0, 0, 0, 0, 0, 0,
        0, 0
    FROM usage_minute;

DROP TABLE usage_minute;

ALTER TABLE usage_new RENAME TO usage_minute;

CREATE INDEX usage_minute_start ON usage_minute (start_ms);

CREATE INDEX usage_minute_consumer ON usage_minute (consumer, start_ms);

-- What is still to be merged into hours.
CREATE INDEX usage_minute_fine ON usage_minute (start_ms)
    WHERE start_ms % 3600000 <> 0;
