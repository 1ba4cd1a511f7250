-- A key of what became a person: the invitation that was accepted.
ALTER TABLE person_keys ADD COLUMN of_person TEXT;

CREATE INDEX person_keys_of ON person_keys (of_person);
