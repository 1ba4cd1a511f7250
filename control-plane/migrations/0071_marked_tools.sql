-- What an upstream shows may speak to models.
ALTER TABLE apis ADD COLUMN marked_tools TEXT NOT NULL DEFAULT 'announce';
