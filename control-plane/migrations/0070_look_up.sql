-- What people look for among millions: rare deeds, somebody's, those on one
-- thing, one request; a key by what its owner tells of it.
CREATE INDEX audit_action ON audit (action, at, tenant, seq);

CREATE INDEX audit_actor ON audit
    ((CASE actor_name WHEN '' THEN actor_id ELSE actor_name END), at, tenant,
     seq);

CREATE INDEX audit_resource ON audit (resource, at, tenant, seq);

CREATE INDEX audit_request ON audit (request_id);

CREATE INDEX credentials_prefix ON credentials (prefix);

CREATE INDEX credentials_last4 ON credentials (last4, id);

CREATE INDEX credentials_state ON credentials (state, id);
