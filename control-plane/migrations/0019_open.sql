-- The plan of callers without a credential; none: they are refused.
ALTER TABLE apis ADD COLUMN open_plan TEXT;
ALTER TABLE servers ADD COLUMN open_plan TEXT;
