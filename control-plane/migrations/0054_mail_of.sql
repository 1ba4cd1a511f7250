-- Whose mail it is, so that no tenant fills the queue; and whether a tenant's
-- address was said by the platform: else it has to be one of its people's.
ALTER TABLE mails ADD COLUMN tenant TEXT;
ALTER TABLE notice_settings ADD COLUMN free BIGINT NOT NULL DEFAULT 0;

CREATE INDEX mails_tenant ON mails (tenant) WHERE state = 'waiting';
