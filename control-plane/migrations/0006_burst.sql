-- Records whose body a migration changes: they are made anew when the program
-- starts, before anybody is served.
CREATE TABLE feed_stale (
    kind  TEXT NOT NULL,
    id    TEXT NOT NULL,
    PRIMARY KEY (kind, id)
);

INSERT INTO feed_stale (kind, id)
    SELECT 'plan', id FROM plans WHERE burst > 0 OR concurrency > 65535;

-- How many may come at once; it was how many more than one.  0 is as many as
-- the rate; it was one.
UPDATE plans SET burst = burst + 1 WHERE burst > 0 AND burst < 1000000000;

-- What a gateway can count.
UPDATE plans SET concurrency = 65535 WHERE concurrency > 65535;
