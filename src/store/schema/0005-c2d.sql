-- Cloud-to-device messages and the feedback on them.

-- What a device has not done with yet. seq is never given again. holder: the session that it was
-- sent to, 0 = none; lock, locked_until_ms: of a device that fetched it. deliveries counts both
-- kinds. body stands last: what walks a queue need not read it.
CREATE TABLE c2d (
	seq INTEGER PRIMARY KEY AUTOINCREMENT,
	device_id TEXT NOT NULL,
	generation TEXT NOT NULL,
	message_id TEXT NOT NULL,
	correlation_id TEXT NOT NULL,
	user_id TEXT NOT NULL,
	ack INTEGER NOT NULL,
	enqueued_ms INTEGER NOT NULL,
	expires_ms INTEGER NOT NULL,
	deliveries INTEGER NOT NULL,
	holder INTEGER NOT NULL,
	lock TEXT NOT NULL,
	locked_until_ms INTEGER NOT NULL,
	size INTEGER NOT NULL,
	props TEXT NOT NULL,
	body BLOB NOT NULL
) STRICT;
CREATE INDEX c2d_device ON c2d (device_id, seq);
CREATE INDEX c2d_expires ON c2d (expires_ms);
CREATE INDEX c2d_held ON c2d (holder) WHERE holder <> 0;
CREATE INDEX c2d_locked ON c2d (locked_until_ms) WHERE locked_until_ms <> 0;

-- What became of messages whose senders asked. at_ms: when it did. Records that one reader was
-- handed together have one lock.
CREATE TABLE c2d_feedback (
	seq INTEGER PRIMARY KEY AUTOINCREMENT,
	message_id TEXT NOT NULL,
	device_id TEXT NOT NULL,
	generation TEXT NOT NULL,
	at_ms INTEGER NOT NULL,
	outcome INTEGER NOT NULL,
	expires_ms INTEGER NOT NULL,
	deliveries INTEGER NOT NULL,
	lock TEXT NOT NULL,
	locked_until_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX c2d_feedback_device ON c2d_feedback (device_id);
CREATE INDEX c2d_feedback_expires ON c2d_feedback (expires_ms);
CREATE INDEX c2d_feedback_locked ON c2d_feedback (lock) WHERE lock <> '';
