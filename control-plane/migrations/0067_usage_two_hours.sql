-- Usage by two hours: days of zones that are not UTC are made of these, and of
-- quarters around their midnights.
CREATE TABLE usage_two_hours (
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

CREATE INDEX usage_two_hours_start ON usage_two_hours (start_ms);

CREATE INDEX usage_two_hours_consumer ON usage_two_hours (consumer, start_ms);

INSERT INTO usage_two_hours
    SELECT tenant, start_ms - start_ms % 7200000, application, subscription,
        api, operation, credential, refused, MAX(consumer),
        CAST(SUM(c2xx) AS BIGINT), CAST(SUM(c3xx) AS BIGINT),
        CAST(SUM(c4xx) AS BIGINT), CAST(SUM(c5xx) AS BIGINT),
        CAST(SUM(bytes_in) AS BIGINT), CAST(SUM(bytes_out) AS BIGINT),
        CAST(SUM(h0) AS BIGINT), CAST(SUM(h1) AS BIGINT),
        CAST(SUM(h2) AS BIGINT), CAST(SUM(h3) AS BIGINT),
        CAST(SUM(h4) AS BIGINT), CAST(SUM(h5) AS BIGINT),
        CAST(SUM(h6) AS BIGINT), CAST(SUM(h7) AS BIGINT),
        CAST(SUM(h8) AS BIGINT), CAST(SUM(h9) AS BIGINT),
        CAST(SUM(h10) AS BIGINT), CAST(SUM(h11) AS BIGINT),
        CAST(SUM(h12) AS BIGINT), CAST(SUM(h13) AS BIGINT),
        CAST(SUM(h14) AS BIGINT), CAST(SUM(h15) AS BIGINT),
        CAST(SUM(h16) AS BIGINT), CAST(SUM(h17) AS BIGINT),
        CAST(SUM(h18) AS BIGINT), CAST(SUM(h19) AS BIGINT),
        CAST(SUM(h20) AS BIGINT), CAST(SUM(h21) AS BIGINT),
        CAST(SUM(h22) AS BIGINT), CAST(SUM(h23) AS BIGINT),
        CAST(SUM(h24) AS BIGINT), CAST(SUM(h25) AS BIGINT)
    FROM usage_quarter
    GROUP BY tenant, start_ms - start_ms % 7200000, application, subscription,
        api, operation, credential, refused;
