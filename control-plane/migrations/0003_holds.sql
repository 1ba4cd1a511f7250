-- What the publisher of an api or a server decided about an application of
-- another tenant.  Subscriptions of the pair come and go, as the consumer
-- likes; this stays until the publisher takes it back.
--   state       suspended, revoked or rejected; NULL: nothing of the kind
--   expires_at  the end that the publisher set; NULL: none
CREATE TABLE subscription_holds (
    application  TEXT   NOT NULL REFERENCES applications (id),
    target       TEXT   NOT NULL,
    state        TEXT,
    expires_at   BIGINT,
    PRIMARY KEY (application, target)
);

CREATE INDEX subscription_holds_target ON subscription_holds (target);

-- Who suspended or limited what is there is not known; it is held.
INSERT INTO subscription_holds (application, target, state, expires_at)
    SELECT application, COALESCE(api, server),
        CASE WHEN state = 'suspended' THEN 'suspended' END, expires_at
    FROM subscriptions
    WHERE tenant <> target_tenant
        AND state IN ('pending', 'active', 'suspended')
        AND (state = 'suspended' OR expires_at IS NOT NULL);

INSERT INTO subscription_holds (application, target, state)
    SELECT DISTINCT s.application, COALESCE(s.api, s.server), 'rejected'
    FROM subscriptions s
    WHERE s.tenant <> s.target_tenant AND s.state = 'rejected'
        AND NOT EXISTS (SELECT 1 FROM subscriptions o
            WHERE o.application = s.application
                AND COALESCE(o.api, o.server) = COALESCE(s.api, s.server)
                AND o.state IN ('pending', 'active', 'suspended'));
