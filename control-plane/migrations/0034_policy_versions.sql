-- What policies were: ver is the policy's own, body what may change of it.
CREATE TABLE policy_versions (
    policy  TEXT   NOT NULL,
    ver     BIGINT NOT NULL,
    at      BIGINT NOT NULL,
    actor   TEXT   NOT NULL,
    body    TEXT   NOT NULL,
    PRIMARY KEY (policy, ver)
);

-- Lists over all tenants that somebody sees, by id.
CREATE INDEX apis_every ON apis (tenant, id);
CREATE INDEX servers_every ON servers (tenant, id);
CREATE INDEX plans_every ON plans (tenant, id);
CREATE INDEX applications_every ON applications (tenant, id);
CREATE INDEX subscriptions_every ON subscriptions (tenant, id);
CREATE INDEX credentials_every ON credentials (tenant, id);
CREATE INDEX approvals_every ON approvals (tenant, id);
CREATE INDEX policies_every ON policies (tenant, id);
CREATE INDEX secrets_every ON secrets (tenant, id);
