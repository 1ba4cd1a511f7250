-- What people look for: a row per api and server, written with its feed row.
-- words: what it is about; marks: who may see it, of what kind it is, its
-- tags and the like, each a word too, so that one index answers it all.
ALTER TABLE apis ADD COLUMN tags TEXT;
ALTER TABLE apis ADD COLUMN category TEXT;
ALTER TABLE apis ADD COLUMN family TEXT;
ALTER TABLE apis ADD COLUMN contact TEXT;

CREATE TABLE catalogue (
    n         {{SERIAL}},
    id        TEXT   NOT NULL UNIQUE,
    tenant    TEXT   NOT NULL,
    kind      TEXT   NOT NULL,
    name      TEXT   NOT NULL,
    title     TEXT,
    version   TEXT,
    state     TEXT   NOT NULL,
    audience  TEXT   NOT NULL,
    category  TEXT,
    tags      TEXT,
    contact   TEXT,
    about     TEXT,
    words     TEXT   NOT NULL,
    marks     TEXT   NOT NULL,
    sum       TEXT   NOT NULL
);

{{SQLITE}}CREATE VIRTUAL TABLE catalogue_words USING fts5(words, marks, content='catalogue', content_rowid='n', prefix='2 3');
{{SQLITE}}CREATE TRIGGER catalogue_made AFTER INSERT ON catalogue BEGIN INSERT INTO catalogue_words(rowid, words, marks) VALUES (new.n, new.words, new.marks); END;
{{SQLITE}}CREATE TRIGGER catalogue_gone AFTER DELETE ON catalogue BEGIN INSERT INTO catalogue_words(catalogue_words, rowid, words, marks) VALUES ('delete', old.n, old.words, old.marks); END;
{{SQLITE}}CREATE TRIGGER catalogue_changed AFTER UPDATE ON catalogue BEGIN INSERT INTO catalogue_words(catalogue_words, rowid, words, marks) VALUES ('delete', old.n, old.words, old.marks); INSERT INTO catalogue_words(rowid, words, marks) VALUES (new.n, new.words, new.marks); END;
{{PG}}ALTER TABLE catalogue ADD COLUMN vector tsvector GENERATED ALWAYS AS (setweight(to_tsvector('simple', words), 'A') || setweight(to_tsvector('simple', marks), 'D')) STORED;
{{PG}}CREATE INDEX catalogue_vector ON catalogue USING gin (vector);

INSERT INTO catalogue (id, tenant, kind, name, title, version, state,
    audience, about, words, marks, sum)
SELECT id, tenant, kind, name, title, version, state, audience,
    SUBSTR(description, 1, 300), name || ' ' || COALESCE(title, '') || ' '
    || COALESCE(description, ''), 'vall v' || tenant || ' k' || kind
    || ' a' || audience || ' o' || tenant || ' s' || state
    || CASE WHEN state NOT IN ('published', 'deprecated') THEN ''
       WHEN audience = 'public' THEN ' vpublic'
       WHEN audience = 'partner' THEN
       REPLACE(REPLACE(REPLACE(REPLACE(COALESCE(partners, ''), ',', ' '),
               '[', ''), ']', ''), '"', ' v')
       ELSE '' END, ''
FROM apis;

INSERT INTO catalogue (id, tenant, kind, name, title, state, audience, about,
    words, marks, sum)
SELECT id, tenant, 'server', name, title, state, 'internal',
    SUBSTR(instructions, 1, 300), name || ' ' || COALESCE(title, '') || ' '
    || COALESCE(instructions, ''), 'vall v' || tenant || ' kserver'
    || ' ainternal o' || tenant || ' s' || state, ''
FROM servers;

-- Documentation of an api: pages of Markdown, stored as text.
CREATE TABLE pages (
    id          TEXT   NOT NULL PRIMARY KEY,
    tenant      TEXT   NOT NULL REFERENCES tenants (id),
    api         TEXT   NOT NULL REFERENCES apis (id),
    name        TEXT   NOT NULL,
    title       TEXT,
    position    BIGINT NOT NULL,
    body        TEXT   NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    ver         BIGINT NOT NULL,
    UNIQUE (api, name)
);
