-- What events say of people is sealed with a key of each: destroying the key
-- erases it, and the chain, which is over the sealed text, stays whole.
--   personal  '' or a JSON list of {person, sealed}
ALTER TABLE audit ADD COLUMN personal TEXT NOT NULL DEFAULT '';

-- sealed: the key, by the key of the process; '' when it was destroyed.
CREATE TABLE person_keys (
    person        TEXT   NOT NULL PRIMARY KEY,
    sealed        TEXT   NOT NULL,
    created_at    BIGINT NOT NULL,
    destroyed_at  BIGINT
);
