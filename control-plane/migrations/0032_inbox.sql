-- What waits for a decision.
CREATE INDEX subscriptions_pending ON subscriptions (target_tenant, created_at)
    WHERE state = 'pending';

CREATE INDEX tools_quarantined ON tools (tenant) WHERE state = 'quarantined';
