-- File uploads under way, and what services are told of those that ended.
-- An upload is kept past its end for a while, so that a device that is late can be told so.
CREATE TABLE upload (
	id TEXT NOT NULL PRIMARY KEY,
	device_id TEXT NOT NULL,
	blob TEXT NOT NULL,
	started_ms INTEGER NOT NULL,
	expires_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX upload_device ON upload (device_id, expires_ms);
CREATE INDEX upload_expiry ON upload (expires_ms);

-- In the order they came. token names the lock while there is one.
CREATE TABLE upload_notice (
	n INTEGER PRIMARY KEY,
	device_id TEXT NOT NULL,
	blob TEXT NOT NULL,
	ended_ms INTEGER NOT NULL,
	token TEXT NOT NULL,
	locked_ms INTEGER NOT NULL,
	deliveries INTEGER NOT NULL
) STRICT;
CREATE INDEX upload_notice_token ON upload_notice (token);
CREATE INDEX upload_notice_end ON upload_notice (ended_ms);
