-- Servers with many tools: two tools find and call the others.
ALTER TABLE servers ADD COLUMN search_tools BIGINT NOT NULL DEFAULT 0;
