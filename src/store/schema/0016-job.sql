-- Scheduled jobs of the hub's service API, and how far each has come: it has looked at the
-- identities up to "at", of those there were when it began (up to "last").
CREATE TABLE job (
	n INTEGER PRIMARY KEY,
	hub TEXT NOT NULL,
	id TEXT NOT NULL,
	kind INTEGER NOT NULL,
	status INTEGER NOT NULL,
	condition TEXT NOT NULL,
	if_match TEXT NOT NULL,
	tags TEXT NOT NULL,
	desired TEXT NOT NULL,
	method TEXT NOT NULL,
	payload TEXT NOT NULL,
	connect_s INTEGER NOT NULL,
	response_s INTEGER NOT NULL,
	max_s INTEGER NOT NULL,
	created_ms INTEGER NOT NULL,
	start_ms INTEGER NOT NULL,
	began_ms INTEGER NOT NULL,
	ended_ms INTEGER NOT NULL,
	reason TEXT NOT NULL,
	at INTEGER NOT NULL,
	last INTEGER NOT NULL,
	succeeded INTEGER NOT NULL,
	failed INTEGER NOT NULL,
	UNIQUE (hub, id)
) STRICT;
CREATE INDEX job_open ON job (start_ms) WHERE status < 3;
CREATE INDEX job_ended ON job (ended_ms) WHERE status >= 3;

-- Calls of devices that a job has begun and not heard the end of.
CREATE TABLE job_call (
	job INTEGER NOT NULL REFERENCES job ON DELETE CASCADE,
	device INTEGER NOT NULL,
	PRIMARY KEY (job, device)
) STRICT, WITHOUT ROWID;
-- Jobs that import or export identities: how far each has come in the file (bytes of it that
-- were imported, or the number of the last identity that was exported), and what went wrong.
CREATE TABLE transfer (
	n INTEGER PRIMARY KEY,
	hub TEXT NOT NULL,
	id TEXT NOT NULL UNIQUE,
	exports INTEGER NOT NULL,
	input TEXT NOT NULL,
	input_name TEXT NOT NULL,
	output TEXT NOT NULL,
	output_name TEXT NOT NULL,
	no_keys INTEGER NOT NULL,
	created_ms INTEGER NOT NULL,
	status INTEGER NOT NULL,
	ended_ms INTEGER NOT NULL,
	reason TEXT NOT NULL,
	at INTEGER NOT NULL,
	blocks INTEGER NOT NULL,
	done INTEGER NOT NULL,
	failed INTEGER NOT NULL,
	errors TEXT NOT NULL
) STRICT;
CREATE INDEX transfer_open ON transfer (n) WHERE status < 3;
CREATE INDEX transfer_ended ON transfer (ended_ms) WHERE status >= 3;
