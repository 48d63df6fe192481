-- Certificates for ever: revocation, CRLs, OCSP, enrolment, rollover.

-- crl_shard: of the distribution point in the certificate, -1 = it has none. reason: RFC 5280
-- 5.3.1. superseded_ms: since when its device uses a newer one.
ALTER TABLE cert ADD COLUMN key_sha256 TEXT NOT NULL DEFAULT '';
ALTER TABLE cert ADD COLUMN crl_shard INTEGER NOT NULL DEFAULT -1;
ALTER TABLE cert ADD COLUMN revoked_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE cert ADD COLUMN reason INTEGER NOT NULL DEFAULT 0;
ALTER TABLE cert ADD COLUMN superseded_ms INTEGER NOT NULL DEFAULT 0;
-- A serial number is the hex of its shortest form, as certificates have it.
UPDATE cert SET serial = substr('0', 1, length(ltrim(serial, '0')) % 2) || ltrim(serial, '0')
	WHERE serial LIKE '00%';
-- What store_cert_find filters by is in the index, so that it reads only the rows it shows.
CREATE INDEX cert_walk ON cert (n, profile, not_after_ms, revoked_ms, superseded_ms);
CREATE INDEX cert_issuer ON cert (issuer, n, not_after_ms);
CREATE INDEX cert_key ON cert (key_sha256) WHERE key_sha256 <> '';
CREATE INDEX cert_superseded ON cert (n, superseded_ms, not_after_ms)
	WHERE superseded_ms > 0 AND revoked_ms = 0;
-- Covers the entries of a CRL, in its order.
CREATE INDEX cert_revoked ON cert (issuer, crl_shard, serial, not_after_ms, revoked_ms, reason)
	WHERE revoked_ms > 0;

-- What was revoked and is not of our making: certificates of CAs that groups name.
CREATE TABLE foreign_cert (
	issuer TEXT NOT NULL,
	serial TEXT NOT NULL,
	sha256 TEXT NOT NULL,
	device_id TEXT NOT NULL,
	revoked_ms INTEGER NOT NULL,
	reason INTEGER NOT NULL,
	PRIMARY KEY (issuer, serial)
) STRICT;

-- The CAs, as the signer told them, and what the hub does with each.
CREATE TABLE issuer (
	sha256 TEXT NOT NULL PRIMARY KEY,
	name TEXT NOT NULL UNIQUE,
	purpose TEXT NOT NULL,
	state TEXT NOT NULL,
	reason INTEGER NOT NULL,
	custody TEXT NOT NULL,
	cert BLOB NOT NULL,
	added_ms INTEGER NOT NULL,
	state_ms INTEGER NOT NULL
) STRICT;

-- The certificate that each device connected with last, and what it told of itself.
CREATE TABLE device_cert (
	device_id TEXT NOT NULL PRIMARY KEY,
	sha256 TEXT NOT NULL,
	issuer TEXT NOT NULL,
	serial TEXT NOT NULL,
	key_sha256 TEXT NOT NULL,
	not_after_ms INTEGER NOT NULL,
	first_ms INTEGER NOT NULL,
	seen_ms INTEGER NOT NULL,
	peer TEXT NOT NULL,
	custody TEXT NOT NULL,
	generation TEXT NOT NULL,
	anchors BLOB NOT NULL,
	agent TEXT NOT NULL,
	clock_off_ms INTEGER NOT NULL,
	report_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX device_cert_issuer ON device_cert (issuer, device_id, seen_ms);
CREATE INDEX device_cert_key ON device_cert (key_sha256, device_id) WHERE key_sha256 <> '';

-- Registration IDs that may not enrol.
CREATE TABLE blocked (
	registration_id TEXT NOT NULL PRIMARY KEY COLLATE NOCASE,
	at_ms INTEGER NOT NULL,
	reason TEXT NOT NULL,
	added_by TEXT NOT NULL
) STRICT;

-- The newest CRL of each distribution point. shard -1: of everything without one. delta: 1 for
-- the delta on the full one. next_ms: nextUpdate. mark: n of the youngest change it holds.
CREATE TABLE crl (
	issuer TEXT NOT NULL,
	shard INTEGER NOT NULL,
	delta INTEGER NOT NULL,
	number INTEGER NOT NULL,
	this_ms INTEGER NOT NULL,
	next_ms INTEGER NOT NULL,
	mark INTEGER NOT NULL,
	der BLOB NOT NULL,
	PRIMARY KEY (issuer, shard, delta)
) STRICT;

-- What changed since a full CRL and goes into the next delta. reason 8: taken off hold. n is
-- never given again: a CRL that is signed meanwhile says by it how far it goes.
CREATE TABLE crl_change (
	n INTEGER PRIMARY KEY AUTOINCREMENT,
	issuer TEXT NOT NULL,
	shard INTEGER NOT NULL,
	serial TEXT NOT NULL,
	at_ms INTEGER NOT NULL,
	reason INTEGER NOT NULL,
	UNIQUE (issuer, shard, serial)
) STRICT;

-- Answers signed ahead: a row for each certificate from its record to its end; next_ms 0: none is
-- signed. So what is due is a range of an index, not what a million rows have no partner of.
CREATE TABLE ocsp (
	n INTEGER PRIMARY KEY REFERENCES cert,
	issuer TEXT NOT NULL,
	not_after_ms INTEGER NOT NULL,
	this_ms INTEGER NOT NULL,
	next_ms INTEGER NOT NULL,
	der BLOB NOT NULL
) STRICT;
INSERT INTO ocsp SELECT n, issuer, not_after_ms, 0, 0, x'' FROM cert;
CREATE INDEX ocsp_due ON ocsp (issuer, next_ms, not_after_ms);
CREATE INDEX ocsp_end ON ocsp (not_after_ms);

-- One-time tokens. sha256: of the secret; used_ms: 0 = not yet.
CREATE TABLE enrol_token (
	device_id TEXT NOT NULL PRIMARY KEY,
	sha256 TEXT NOT NULL UNIQUE,
	created_ms INTEGER NOT NULL,
	expires_ms INTEGER NOT NULL,
	used_ms INTEGER NOT NULL,
	created_by TEXT NOT NULL
) STRICT;

-- Enrolments that wait for an operator, or waited. id: of the request and who made it.
CREATE TABLE enrol_request (
	id TEXT NOT NULL PRIMARY KEY,
	device_id TEXT NOT NULL,
	state TEXT NOT NULL,
	key_sha256 TEXT NOT NULL,
	credential TEXT NOT NULL,
	address TEXT NOT NULL,
	created_ms INTEGER NOT NULL,
	decided_ms INTEGER NOT NULL,
	decided_by TEXT NOT NULL,
	cert_sha256 TEXT NOT NULL
) STRICT;
CREATE INDEX enrol_request_state ON enrol_request (state, created_ms, id);
CREATE INDEX enrol_request_created ON enrol_request (created_ms, id);

-- Devices that may renew an expired certificate, and those in quarantine after they did.
CREATE TABLE renew_allow (
	device_id TEXT NOT NULL PRIMARY KEY,
	until_ms INTEGER NOT NULL,
	quarantined_ms INTEGER NOT NULL,
	added_by TEXT NOT NULL
) STRICT;

-- Rollovers of a CA. At most one of a purpose is under way.
CREATE TABLE rollover (
	n INTEGER PRIMARY KEY,
	from_issuer TEXT NOT NULL,
	to_issuer TEXT NOT NULL,
	state TEXT NOT NULL,
	share INTEGER NOT NULL,
	spread_ms INTEGER NOT NULL,
	started_ms INTEGER NOT NULL,
	wave_ms INTEGER NOT NULL,
	ended_ms INTEGER NOT NULL,
	UNIQUE (from_issuer, to_issuer, started_ms)
) STRICT;
