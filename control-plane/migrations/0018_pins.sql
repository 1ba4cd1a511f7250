-- What was approved of what an upstream shows, by name: kept when it vanishes,
-- so that it does not come back as another.
CREATE TABLE item_pins (
    api     TEXT NOT NULL REFERENCES apis (id),
    kind    TEXT NOT NULL,
    name    TEXT NOT NULL,
    digest  TEXT NOT NULL,
    PRIMARY KEY (api, kind, name)
);

ALTER TABLE apis ADD COLUMN changed_tools TEXT NOT NULL DEFAULT 'announce';
