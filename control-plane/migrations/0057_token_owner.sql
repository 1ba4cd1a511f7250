-- Who made an admin token, also when nobody's rights bound it: so that a person
-- and his tokens are one when two have to decide.  NULL: the maker, if any.
ALTER TABLE admin_tokens ADD COLUMN owner TEXT;
