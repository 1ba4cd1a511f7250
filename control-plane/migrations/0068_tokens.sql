-- Tokens of language models beside what is counted, told apart by the model.
-- Tables are made anew: the model is of the key.
CREATE TABLE usage_minute_of (
    tenant        TEXT   NOT NULL,
    start_ms      BIGINT NOT NULL,
    application   TEXT   NOT NULL,
    subscription  TEXT   NOT NULL,
    api           TEXT   NOT NULL,
    operation     TEXT   NOT NULL,
    credential    TEXT   NOT NULL,
    refused       TEXT   NOT NULL,
    model         TEXT   NOT NULL DEFAULT '',
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
    tokens_in     BIGINT NOT NULL DEFAULT 0,
    tokens_out    BIGINT NOT NULL DEFAULT 0,
    tokens_cached BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant, start_ms, application, subscription, api, operation,
                 credential, refused, model)
);

INSERT INTO usage_minute_of (
        tenant, start_ms, application, subscription, api, operation,
        credential, refused, consumer, c2xx, c3xx, c4xx, c5xx, bytes_in,
        bytes_out, h0, h1, h2, h3, h4, h5, h6, h7, h8, h9, h10, h11, h12, h13,
        h14, h15, h16, h17, h18, h19, h20, h21, h22, h23, h24, h25)
    SELECT
        tenant, start_ms, application, subscription, api, operation,
        credential, refused, consumer, c2xx, c3xx, c4xx, c5xx, bytes_in,
        bytes_out, h0, h1, h2, h3, h4, h5, h6, h7, h8, h9, h10, h11, h12, h13,
        h14, h15, h16, h17, h18, h19, h20, h21, h22, h23, h24, h25
    FROM usage_minute;

DROP TABLE usage_minute;

ALTER TABLE usage_minute_of RENAME TO usage_minute;

CREATE INDEX usage_minute_start ON usage_minute (start_ms);

CREATE INDEX usage_minute_consumer ON usage_minute (consumer, start_ms);

CREATE TABLE usage_quarter_of (
    tenant        TEXT   NOT NULL,
    start_ms      BIGINT NOT NULL,
    application   TEXT   NOT NULL,
    subscription  TEXT   NOT NULL,
    api           TEXT   NOT NULL,
    operation     TEXT   NOT NULL,
    credential    TEXT   NOT NULL,
    refused       TEXT   NOT NULL,
    model         TEXT   NOT NULL DEFAULT '',
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
    tokens_in     BIGINT NOT NULL DEFAULT 0,
    tokens_out    BIGINT NOT NULL DEFAULT 0,
    tokens_cached BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant, start_ms, application, subscription, api, operation,
                 credential, refused, model)
);

INSERT INTO usage_quarter_of (
        tenant, start_ms, application, subscription, api, operation,
        credential, refused, consumer, c2xx, c3xx, c4xx, c5xx, bytes_in,
        bytes_out, h0, h1, h2, h3, h4, h5, h6, h7, h8, h9, h10, h11, h12, h13,
        h14, h15, h16, h17, h18, h19, h20, h21, h22, h23, h24, h25)
    SELECT
        tenant, start_ms, application, subscription, api, operation,
        credential, refused, consumer, c2xx, c3xx, c4xx, c5xx, bytes_in,
        bytes_out, h0, h1, h2, h3, h4, h5, h6, h7, h8, h9, h10, h11, h12, h13,
        h14, h15, h16, h17, h18, h19, h20, h21, h22, h23, h24, h25
    FROM usage_quarter;

DROP TABLE usage_quarter;

ALTER TABLE usage_quarter_of RENAME TO usage_quarter;

CREATE INDEX usage_quarter_start ON usage_quarter (start_ms);

CREATE INDEX usage_quarter_consumer ON usage_quarter (consumer, start_ms);

CREATE TABLE usage_two_hours_of (
    tenant        TEXT   NOT NULL,
    start_ms      BIGINT NOT NULL,
    application   TEXT   NOT NULL,
    subscription  TEXT   NOT NULL,
    api           TEXT   NOT NULL,
    operation     TEXT   NOT NULL,
    credential    TEXT   NOT NULL,
    refused       TEXT   NOT NULL,
    model         TEXT   NOT NULL DEFAULT '',
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
    tokens_in     BIGINT NOT NULL DEFAULT 0,
    tokens_out    BIGINT NOT NULL DEFAULT 0,
    tokens_cached BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant, start_ms, application, subscription, api, operation,
                 credential, refused, model)
);

INSERT INTO usage_two_hours_of (
        tenant, start_ms, application, subscription, api, operation,
        credential, refused, consumer, c2xx, c3xx, c4xx, c5xx, bytes_in,
        bytes_out, h0, h1, h2, h3, h4, h5, h6, h7, h8, h9, h10, h11, h12, h13,
        h14, h15, h16, h17, h18, h19, h20, h21, h22, h23, h24, h25)
    SELECT
        tenant, start_ms, application, subscription, api, operation,
        credential, refused, consumer, c2xx, c3xx, c4xx, c5xx, bytes_in,
        bytes_out, h0, h1, h2, h3, h4, h5, h6, h7, h8, h9, h10, h11, h12, h13,
        h14, h15, h16, h17, h18, h19, h20, h21, h22, h23, h24, h25
    FROM usage_two_hours;

DROP TABLE usage_two_hours;

ALTER TABLE usage_two_hours_of RENAME TO usage_two_hours;

CREATE INDEX usage_two_hours_start ON usage_two_hours (start_ms);

CREATE INDEX usage_two_hours_consumer ON usage_two_hours (consumer, start_ms);

CREATE TABLE usage_day_of (
    tenant        TEXT   NOT NULL,
    start_ms      BIGINT NOT NULL,
    application   TEXT   NOT NULL,
    subscription  TEXT   NOT NULL,
    api           TEXT   NOT NULL,
    operation     TEXT   NOT NULL,
    credential    TEXT   NOT NULL,
    refused       TEXT   NOT NULL,
    model         TEXT   NOT NULL DEFAULT '',
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
    tokens_in     BIGINT NOT NULL DEFAULT 0,
    tokens_out    BIGINT NOT NULL DEFAULT 0,
    tokens_cached BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant, start_ms, application, subscription, api, operation,
                 credential, refused, model)
);

INSERT INTO usage_day_of (
        tenant, start_ms, application, subscription, api, operation,
        credential, refused, consumer, c2xx, c3xx, c4xx, c5xx, bytes_in,
        bytes_out, h0, h1, h2, h3, h4, h5, h6, h7, h8, h9, h10, h11, h12, h13,
        h14, h15, h16, h17, h18, h19, h20, h21, h22, h23, h24, h25)
    SELECT
        tenant, start_ms, application, subscription, api, operation,
        credential, refused, consumer, c2xx, c3xx, c4xx, c5xx, bytes_in,
        bytes_out, h0, h1, h2, h3, h4, h5, h6, h7, h8, h9, h10, h11, h12, h13,
        h14, h15, h16, h17, h18, h19, h20, h21, h22, h23, h24, h25
    FROM usage_day;

DROP TABLE usage_day;

ALTER TABLE usage_day_of RENAME TO usage_day;

CREATE INDEX usage_day_start ON usage_day (start_ms);

CREATE INDEX usage_day_consumer ON usage_day (consumer, start_ms);

ALTER TABLE usage_view ADD COLUMN tokens_in BIGINT NOT NULL DEFAULT 0;

ALTER TABLE usage_view ADD COLUMN tokens_out BIGINT NOT NULL DEFAULT 0;

ALTER TABLE usage_view ADD COLUMN tokens_cached BIGINT NOT NULL DEFAULT 0;
