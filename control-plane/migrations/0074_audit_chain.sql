-- A deed that is rare in one chain, in the chain's order.
CREATE INDEX audit_chain ON audit (tenant, action, seq);
