-- The compacted log that gateways read, what they said about themselves, and
-- the usage they reported.

-- One row.  rev: the last revision given out; epoch: names this database, set
-- at its first use; oldest: the highest revision of a tombstone that was
-- removed (whoever is behind it must start from 0).  Whoever writes the feed
-- holds this row, so revisions become visible in their order.
CREATE TABLE feed_head (
    one     BIGINT NOT NULL PRIMARY KEY CHECK (one = 1),
    rev     BIGINT NOT NULL,
    epoch   TEXT   NOT NULL,
    oldest  BIGINT NOT NULL
);

-- The first revision is taken, so that since=0 never waits.
INSERT INTO feed_head (one, rev, epoch, oldest) VALUES (1, 1, '', 0);

-- One row per record; digest_hi, digest_lo: the halves of its 16 byte digest.
-- group_ids: NULL (everybody) or ',id,id,'.
CREATE TABLE feed (
    key         TEXT   NOT NULL PRIMARY KEY,
    rev         BIGINT NOT NULL,
    kind        TEXT   NOT NULL,
    body        TEXT,
    group_ids   TEXT,
    digest_hi   BIGINT NOT NULL,
    digest_lo   BIGINT NOT NULL,
    deleted     BIGINT NOT NULL,
    changed_ms  BIGINT NOT NULL
);

CREATE UNIQUE INDEX feed_rev ON feed (rev);

CREATE INDEX feed_tombstones ON feed (changed_ms) WHERE deleted = 1;

-- Running XOR over the live rows that every gateway gets ('') and over those
-- that only a group gets (its id).
CREATE TABLE feed_digest (
    group_id  TEXT   NOT NULL PRIMARY KEY,
    hi        BIGINT NOT NULL,
    lo        BIGINT NOT NULL,
    live      BIGINT NOT NULL
);

-- What a gateway said last.  verdict: 1 its digest was right at that revision,
-- 0 it was wrong, -1 not known because the head had moved on.
CREATE TABLE gateway_status (
    gateway        TEXT   NOT NULL PRIMARY KEY,
    group_id       TEXT   NOT NULL,
    last_seen      BIGINT NOT NULL,
    epoch          TEXT   NOT NULL,
    rev            BIGINT NOT NULL,
    digest         TEXT   NOT NULL,
    verdict        BIGINT NOT NULL,
    version        TEXT   NOT NULL,
    nginx          TEXT   NOT NULL,
    uptime_s       BIGINT NOT NULL,
    workers        BIGINT NOT NULL,
    pid            BIGINT NOT NULL,
    rejected       TEXT   NOT NULL,
    requests       BIGINT NOT NULL,
    connections    BIGINT NOT NULL,
    store_bytes    BIGINT NOT NULL,
    feed_age_ms    BIGINT NOT NULL
);

-- The last batch taken from a gateway's counter file.
CREATE TABLE usage_batch (
    gateway   TEXT   NOT NULL,
    file      TEXT   NOT NULL,
    batch     BIGINT NOT NULL,
    taken_ms  BIGINT NOT NULL,
    PRIMARY KEY (gateway, file)
);

-- Counts per minute, later merged into hours.  start_ms is the first
-- millisecond of the step; h0..h14 count the latencies below 2^(6..20) us,
-- h15 the rest.
CREATE TABLE usage_minute (
    tenant        TEXT   NOT NULL,
    start_ms      BIGINT NOT NULL,
    application   TEXT   NOT NULL,
    subscription  TEXT   NOT NULL,
    api           TEXT   NOT NULL,
    operation     TEXT   NOT NULL,
    refused       TEXT   NOT NULL,
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
    PRIMARY KEY (tenant, start_ms, application, subscription, api, operation,
                 refused)
);

CREATE INDEX usage_minute_start ON usage_minute (start_ms);

-- What is still to be merged into hours.
CREATE INDEX usage_minute_fine ON usage_minute (start_ms)
    WHERE start_ms % 3600000 <> 0;
