-- What gateways judge calls by, made of a document when it is imported.
ALTER TABLE api_documents ADD COLUMN contract TEXT;
