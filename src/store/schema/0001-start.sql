-- The first schema. Never edited once released: a change is a new file, NNNN-what.sql.
-- Times are milliseconds since 1970, 0 = never; '' and x'' stand for "none".
-- Device IDs are compared exactly, registration and group IDs without ASCII case.

-- Identities. The row stays small, since every connect and disconnect rewrites it; the twin,
-- which may be large, is its own row.
CREATE TABLE device (
	n INTEGER PRIMARY KEY,
	id TEXT NOT NULL UNIQUE CHECK (id <> ''),
	generation TEXT NOT NULL,
	etag INTEGER NOT NULL,
	enabled INTEGER NOT NULL,
	status_reason TEXT NOT NULL,
	auth INTEGER NOT NULL CHECK (auth BETWEEN 0 AND 3),
	sas_window INTEGER NOT NULL,
	primary_key BLOB NOT NULL,
	secondary_key BLOB NOT NULL,
	primary_thumb TEXT NOT NULL,
	secondary_thumb TEXT NOT NULL,
	iot_edge INTEGER NOT NULL,
	created_ms INTEGER NOT NULL,
	status_updated_ms INTEGER NOT NULL,
	conn_updated_ms INTEGER NOT NULL,
	last_activity_ms INTEGER NOT NULL,
	connected INTEGER NOT NULL,
	group_id TEXT NOT NULL COLLATE NOCASE
) STRICT;
-- Covers the counts; finds the connected ones at start.
CREATE INDEX device_state ON device (connected, auth, enabled);

CREATE TABLE twin (
	n INTEGER PRIMARY KEY REFERENCES device ON DELETE CASCADE,
	tags TEXT NOT NULL,
	desired TEXT NOT NULL,
	reported TEXT NOT NULL,
	desired_version INTEGER NOT NULL,
	reported_version INTEGER NOT NULL,
	etag INTEGER NOT NULL
) STRICT;

CREATE TABLE enrollment_group (
	id TEXT NOT NULL PRIMARY KEY COLLATE NOCASE CHECK (id <> ''),
	etag INTEGER NOT NULL,
	attestation INTEGER NOT NULL CHECK (attestation IN (1, 2)),
	primary_cert BLOB NOT NULL,
	secondary_cert BLOB NOT NULL,
	primary_cert_sha256 TEXT NOT NULL,
	secondary_cert_sha256 TEXT NOT NULL,
	primary_key BLOB NOT NULL,
	secondary_key BLOB NOT NULL,
	enabled INTEGER NOT NULL,
	iot_edge INTEGER NOT NULL,
	allocation TEXT NOT NULL,
	hubs TEXT NOT NULL,
	tags TEXT NOT NULL,
	desired TEXT NOT NULL,
	update_hub INTEGER NOT NULL,
	migrate_data INTEGER NOT NULL,
	created_ms INTEGER NOT NULL,
	updated_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX group_primary_cert ON enrollment_group (primary_cert_sha256);
CREATE INDEX group_secondary_cert ON enrollment_group (secondary_cert_sha256);

CREATE TABLE registration (
	id TEXT NOT NULL PRIMARY KEY COLLATE NOCASE CHECK (id <> ''),
	group_id TEXT NOT NULL COLLATE NOCASE,
	device_id TEXT NOT NULL,
	hub TEXT NOT NULL,
	status TEXT NOT NULL,
	substatus TEXT NOT NULL,
	operation_id TEXT NOT NULL,
	error_code INTEGER NOT NULL,
	error_text TEXT NOT NULL,
	attestation TEXT NOT NULL,
	thumb TEXT NOT NULL,
	etag INTEGER NOT NULL,
	created_ms INTEGER NOT NULL,
	updated_ms INTEGER NOT NULL,
	ready_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX registration_group ON registration (group_id, id);

-- Telemetry. seq comes from tally, so it is never reused; size = bytes of props and body.
CREATE TABLE event (
	seq INTEGER PRIMARY KEY,
	size INTEGER NOT NULL,
	enqueued_ms INTEGER NOT NULL,
	device_id TEXT NOT NULL,
	generation TEXT NOT NULL,
	auth TEXT NOT NULL,
	thumb TEXT NOT NULL,
	props TEXT NOT NULL,
	body BLOB NOT NULL
) STRICT;
CREATE INDEX event_device ON event (device_id, seq);

CREATE TABLE conn (
	seq INTEGER PRIMARY KEY,
	at_ms INTEGER NOT NULL,
	what TEXT NOT NULL,
	plane TEXT NOT NULL,
	device_id TEXT NOT NULL,
	auth TEXT NOT NULL,
	scope TEXT NOT NULL,
	thumb TEXT NOT NULL,
	code INTEGER NOT NULL,
	reason TEXT NOT NULL,
	peer TEXT NOT NULL,
	agent TEXT NOT NULL
) STRICT;
CREATE INDEX conn_at ON conn (at_ms, seq);
CREATE INDEX conn_device ON conn (device_id, seq);

-- Running sums of the two logs, written by the commit that changes them. One row.
CREATE TABLE tally (
	one INTEGER PRIMARY KEY CHECK (one = 1),
	event_seq INTEGER NOT NULL,
	event_bytes INTEGER NOT NULL,
	conn_seq INTEGER NOT NULL,
	conn_dropped_ms INTEGER NOT NULL
) STRICT;
INSERT INTO tally VALUES (1, 0, 0, 0, 0);

CREATE TABLE hub (
	one INTEGER PRIMARY KEY CHECK (one = 1),
	disable_local_auth INTEGER NOT NULL,
	disable_device_sas INTEGER NOT NULL,
	disable_module_sas INTEGER NOT NULL,
	etag INTEGER NOT NULL
) STRICT;
INSERT INTO hub VALUES (1, 0, 0, 0, 1);

CREATE TABLE policy (
	plane TEXT NOT NULL,
	name TEXT NOT NULL,
	primary_key BLOB NOT NULL,
	secondary_key BLOB NOT NULL,
	rights INTEGER NOT NULL,
	PRIMARY KEY (plane, name)
) STRICT;

-- A second certificate of one issuer and serial is a bug or a restored clone.
CREATE TABLE cert (
	n INTEGER PRIMARY KEY,
	serial TEXT NOT NULL,
	issuer TEXT NOT NULL,
	profile TEXT NOT NULL,
	subject TEXT NOT NULL,
	requester TEXT NOT NULL,
	sha256 TEXT NOT NULL UNIQUE,
	not_before_ms INTEGER NOT NULL,
	not_after_ms INTEGER NOT NULL,
	issued_ms INTEGER NOT NULL,
	der BLOB NOT NULL,
	UNIQUE (issuer, serial)
) STRICT;
CREATE INDEX cert_subject ON cert (subject, n);

CREATE TABLE operator (
	sha256 TEXT NOT NULL PRIMARY KEY,
	name TEXT NOT NULL,
	added_ms INTEGER NOT NULL,
	not_after_ms INTEGER NOT NULL,
	enabled INTEGER NOT NULL
) STRICT;

CREATE TABLE meta (
	key TEXT NOT NULL PRIMARY KEY,
	value TEXT NOT NULL
) STRICT;
