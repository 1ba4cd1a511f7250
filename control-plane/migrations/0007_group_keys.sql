-- What is sealed is sealed by a key that is a file: proof is a text that only
-- that key opens.
CREATE TABLE seal (
    one    BIGINT NOT NULL PRIMARY KEY,
    proof  TEXT   NOT NULL
);

-- The keys (Ed25519) with which the gateways of a group vouch for callers; the
-- id is the JWS's kid.  public: base64url; private: sealed.  From signs_at on
-- gateways use it, from ends_at on (NULL: not superseded) nobody takes it.
CREATE TABLE group_keys (
    id          TEXT   NOT NULL PRIMARY KEY,
    "group"     TEXT   NOT NULL REFERENCES gateway_groups (id),
    public      TEXT   NOT NULL,
    private     TEXT   NOT NULL,
    signs_at    BIGINT NOT NULL,
    ends_at     BIGINT,
    created_at  BIGINT NOT NULL
);

CREATE INDEX group_keys_group ON group_keys ("group");

ALTER TABLE gateways DROP COLUMN assertion_key;

-- 1: its upstream is this control plane, which takes what gateways vouch for
-- when they call it.
ALTER TABLE apis ADD COLUMN platform BIGINT NOT NULL DEFAULT 0;
