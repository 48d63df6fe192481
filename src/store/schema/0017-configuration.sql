-- Configurations of many devices, those of them that each is true of, and whom to look at
-- anew. A configuration walks after a change: over those it was true of (1), then over those
-- it may be true of (2), up to "at"; one that is gone stays until it has walked.
CREATE TABLE configuration (
	n INTEGER PRIMARY KEY,
	hub TEXT NOT NULL,
	id TEXT NOT NULL,
	etag INTEGER NOT NULL,
	schema_version TEXT NOT NULL,
	labels TEXT NOT NULL,
	content TEXT NOT NULL,
	desired TEXT NOT NULL,
	modules INTEGER NOT NULL,
	condition TEXT NOT NULL,
	priority INTEGER NOT NULL,
	metrics TEXT NOT NULL,
	created_ms INTEGER NOT NULL,
	updated_ms INTEGER NOT NULL,
	gone INTEGER NOT NULL,
	walk INTEGER NOT NULL,
	at INTEGER NOT NULL,
	targeted INTEGER NOT NULL DEFAULT 0,
	applied INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE UNIQUE INDEX configuration_id ON configuration (hub, id) WHERE gone = 0;

CREATE TABLE configuration_device (
	configuration INTEGER NOT NULL REFERENCES configuration ON DELETE CASCADE,
	device INTEGER NOT NULL REFERENCES device ON DELETE CASCADE,
	applied INTEGER NOT NULL,
	PRIMARY KEY (configuration, device)
) STRICT, WITHOUT ROWID;
CREATE INDEX configuration_of ON configuration_device (device);
CREATE TRIGGER configuration_meant AFTER INSERT ON configuration_device BEGIN
	UPDATE configuration SET targeted = targeted + 1, applied = applied + new.applied
		WHERE n = new.configuration;
END;
CREATE TRIGGER configuration_not_meant AFTER DELETE ON configuration_device BEGIN
	UPDATE configuration SET targeted = targeted - 1, applied = applied - old.applied
		WHERE n = old.configuration;
END;
CREATE TRIGGER configuration_applied AFTER UPDATE OF applied ON configuration_device BEGIN
	UPDATE configuration SET applied = applied + new.applied - old.applied
		WHERE n = new.configuration;
END;

-- Identities of which something changed that a condition may speak of. (OR IGNORE would not
-- do: in a trigger the statement that fired it says what becomes of a conflict.)
CREATE TABLE configuration_due (
	device INTEGER PRIMARY KEY REFERENCES device ON DELETE CASCADE
) STRICT;
CREATE TRIGGER configuration_twin_comes AFTER INSERT ON twin
	WHEN EXISTS (SELECT 1 FROM configuration)
BEGIN
	INSERT INTO configuration_due SELECT new.n
		WHERE NOT EXISTS (SELECT 1 FROM configuration_due WHERE device = new.n);
END;
CREATE TRIGGER configuration_twin_turns AFTER UPDATE OF tags, reported ON twin
	WHEN (new.tags <> old.tags OR new.reported <> old.reported)
		AND EXISTS (SELECT 1 FROM configuration)
BEGIN
	INSERT INTO configuration_due SELECT new.n
		WHERE NOT EXISTS (SELECT 1 FROM configuration_due WHERE device = new.n);
END;
