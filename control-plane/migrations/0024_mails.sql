-- Mails that wait to be sent, and for a week what became of them.
--   state    waiting, sent or failed
--   sealed   subject and text; NULL once it does not wait any more
--   next_at  when it is tried; while it is being tried, when another process
--            takes it that nothing was heard of the first
CREATE TABLE mails (
    id          TEXT   NOT NULL PRIMARY KEY,
    recipient   TEXT   NOT NULL,
    sealed      TEXT,
    state       TEXT   NOT NULL,
    tries       BIGINT NOT NULL,
    next_at     BIGINT NOT NULL,
    error       TEXT,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL
);

CREATE INDEX mails_due ON mails (next_at) WHERE state = 'waiting';

CREATE INDEX mails_recipient ON mails (recipient, created_at);

CREATE INDEX mails_over ON mails (updated_at) WHERE state <> 'waiting';
