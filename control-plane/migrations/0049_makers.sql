-- The person whose rights bound an admin token; NULL: none, as of those made
-- before.
ALTER TABLE admin_tokens ADD COLUMN maker TEXT;
