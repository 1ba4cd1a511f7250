-- Which tools of an mcp api are on is decided by name: a tool comes and goes
-- with what the upstream shows, the decision stays.  A name without a row has
-- the api's new_tools.
CREATE TABLE tool_states (
    api    TEXT NOT NULL REFERENCES apis (id),
    name   TEXT NOT NULL,
    state  TEXT NOT NULL,
    PRIMARY KEY (api, name)
);

INSERT INTO tool_states (api, name, state)
    SELECT api, name, state FROM tools WHERE state <> 'enabled';

ALTER TABLE apis ADD COLUMN new_tools TEXT NOT NULL DEFAULT 'enabled';
