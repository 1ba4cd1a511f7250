-- Ends of deprecated apis that come near.
CREATE INDEX apis_sunset ON apis (sunset_at) WHERE sunset_at IS NOT NULL;
