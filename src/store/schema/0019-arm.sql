-- CA certificates of hubs beside those of the provisioning service. owner: the hub's host name, '' =
-- the provisioning service. verified: somebody has shown that he holds its key, or an operator said
-- so; code: what the proof must be made out to, '' = nobody asked.
CREATE TABLE ca_cert (
	owner TEXT NOT NULL COLLATE NOCASE,
	name TEXT NOT NULL COLLATE NOCASE CHECK (name <> ''),
	sha256 TEXT NOT NULL,
	der BLOB NOT NULL,
	verified INTEGER NOT NULL,
	code TEXT NOT NULL,
	etag INTEGER NOT NULL,
	created_ms INTEGER NOT NULL,
	updated_ms INTEGER NOT NULL,
	PRIMARY KEY (owner, name),
	UNIQUE (owner, sha256)
) STRICT;
INSERT INTO ca_cert SELECT '', name, sha256, der, verified, code, etag, created_ms, updated_ms
	FROM dps_cert;
DROP TABLE dps_cert;

-- What a provisioning service (dps: '' = the first) is linked to, once somebody said so over the
-- resource manager; until then the configuration says it. resource.linked: somebody did.
-- resource.allocation: its policy, '' = the configuration's. location: as it was given.
CREATE TABLE dps_link (
	dps TEXT NOT NULL COLLATE NOCASE,
	hub TEXT NOT NULL COLLATE NOCASE,
	location TEXT NOT NULL,
	apply INTEGER NOT NULL,
	weight INTEGER NOT NULL,
	PRIMARY KEY (dps, hub)
) STRICT;
ALTER TABLE resource ADD COLUMN linked INTEGER NOT NULL DEFAULT 0;
ALTER TABLE resource ADD COLUMN allocation TEXT NOT NULL DEFAULT '';

-- Routing of a hub's messages. routes: a JSON array; routed: one of them takes every message to
-- "events"; fallback: what none of them takes goes there.
ALTER TABLE resource ADD COLUMN routes TEXT NOT NULL DEFAULT '[]';
ALTER TABLE resource ADD COLUMN routed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE resource ADD COLUMN fallback INTEGER NOT NULL DEFAULT 1;

-- Consumer groups of a hub's events, but for "$Default", which every hub has.
CREATE TABLE consumer_group (
	hub TEXT NOT NULL COLLATE NOCASE,
	name TEXT NOT NULL COLLATE NOCASE CHECK (name <> ''),
	made_ms INTEGER NOT NULL,
	PRIMARY KEY (hub, name)
) STRICT;
