-- What the resource manager keeps of hubs (kind hub, by host name) and of the provisioning service
-- (kind dps, '') beside what the configuration says. tags: a JSON object.
CREATE TABLE resource (
	kind TEXT NOT NULL,
	name TEXT NOT NULL COLLATE NOCASE,
	tags TEXT NOT NULL,
	etag INTEGER NOT NULL,
	PRIMARY KEY (kind, name)
) STRICT;
