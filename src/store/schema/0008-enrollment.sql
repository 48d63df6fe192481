-- Individual enrollments, and the provisioning service's certificates.

-- Groups (kind 0) and individual enrollments (kind 1) are of one shape, so that one index knows in
-- which enrollment a certificate is. id: of the group, or the registration ID. attestation: 1
-- certificates, 2 symmetric keys, 3 TPM. primary_ca, secondary_ca: names in dps_cert, where the
-- certificates stand there. info: a JSON object, '' = none.
CREATE TABLE enrollment (
	kind INTEGER NOT NULL CHECK (kind IN (0, 1)),
	id TEXT NOT NULL COLLATE NOCASE CHECK (id <> ''),
	etag INTEGER NOT NULL,
	attestation INTEGER NOT NULL CHECK (attestation IN (1, 2, 3)),
	primary_cert BLOB NOT NULL,
	secondary_cert BLOB NOT NULL,
	primary_cert_sha256 TEXT NOT NULL,
	secondary_cert_sha256 TEXT NOT NULL,
	primary_ca TEXT NOT NULL COLLATE NOCASE,
	secondary_ca TEXT NOT NULL COLLATE NOCASE,
	primary_key BLOB NOT NULL,
	secondary_key BLOB NOT NULL,
	endorsement_key BLOB NOT NULL,
	storage_root_key BLOB NOT NULL,
	device_id TEXT NOT NULL,
	info TEXT NOT NULL,
	enabled INTEGER NOT NULL,
	iot_edge INTEGER NOT NULL,
	allocation TEXT NOT NULL,
	hubs TEXT NOT NULL,
	tags TEXT NOT NULL,
	desired TEXT NOT NULL,
	update_hub INTEGER NOT NULL,
	migrate_data INTEGER NOT NULL,
	created_ms INTEGER NOT NULL,
	updated_ms INTEGER NOT NULL,
	PRIMARY KEY (kind, id)
) STRICT;
INSERT INTO enrollment SELECT 0, id, etag, attestation, primary_cert, secondary_cert,
	primary_cert_sha256, secondary_cert_sha256, '', '', primary_key, secondary_key, x'', x'', '', '',
	enabled, iot_edge, allocation, hubs, tags, desired, update_hub, migrate_data, created_ms,
	updated_ms FROM enrollment_group;
DROP TABLE enrollment_group;
CREATE INDEX enrollment_primary_cert ON enrollment (primary_cert_sha256);
CREATE INDEX enrollment_secondary_cert ON enrollment (secondary_cert_sha256);

-- How many there are of each kind: nobody counts a million for each that is added.
CREATE TABLE enrollment_count (
	kind INTEGER NOT NULL PRIMARY KEY,
	n INTEGER NOT NULL
) STRICT;
INSERT INTO enrollment_count VALUES (0, (SELECT count(*) FROM enrollment)), (1, 0);
CREATE TRIGGER enrollment_added AFTER INSERT ON enrollment BEGIN
	UPDATE enrollment_count SET n = n + 1 WHERE kind = NEW.kind;
END;
CREATE TRIGGER enrollment_deleted AFTER DELETE ON enrollment BEGIN
	UPDATE enrollment_count SET n = n - 1 WHERE kind = OLD.kind;
END;

-- An enrolled leaf is good without its chain, so that it may be revoked under another issuer's name
-- than it comes by.
CREATE INDEX foreign_cert_sha256 ON foreign_cert (sha256);

-- CA certificates that groups may name. verified: somebody has shown that he holds its key, or an
-- operator said so; code: what the proof must be made out to, '' = nobody asked.
CREATE TABLE dps_cert (
	name TEXT NOT NULL PRIMARY KEY COLLATE NOCASE CHECK (name <> ''),
	sha256 TEXT NOT NULL UNIQUE,
	der BLOB NOT NULL,
	verified INTEGER NOT NULL,
	code TEXT NOT NULL,
	etag INTEGER NOT NULL,
	created_ms INTEGER NOT NULL,
	updated_ms INTEGER NOT NULL
) STRICT;
